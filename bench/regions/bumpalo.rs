//! bumpalo: alloc_layout is inline, aligned to 8; reset keeps the largest chunk, and the chunk that
//! it begins with holds a whole pass.
use bumpalo::Bump;
use std::alloc::Layout;

#[repr(C)]
pub struct RegionJob {
    objects: usize,
    sizes: *const u16,
}

static mut ARENA: Option<Bump> = None;

#[inline(always)]
unsafe fn take(arena: &Bump, size: usize, value: usize) {
    let layout = Layout::from_size_align_unchecked(size, 8);
    let word = arena.alloc_layout(layout).as_ptr() as *mut usize;
    *word = value;
    std::arch::asm!("/* {0} */", in(reg) word, options(nostack, preserves_flags));
}

#[inline(always)]
unsafe fn pass(job: &RegionJob, count: usize, size_of: impl Fn(usize) -> usize) {
    let mut arena = match std::ptr::replace(std::ptr::addr_of_mut!(ARENA), None) {
        Some(arena) => arena,
        None => Bump::with_capacity(1 << 28),
    };
    for _ in 0..count {
        for i in 0..job.objects {
            take(&arena, size_of(i), i);
        }
        arena.reset();
    }
    std::ptr::write(std::ptr::addr_of_mut!(ARENA), Some(arena));
}

#[no_mangle]
pub unsafe extern "C" fn region_pass_24(job: *const RegionJob, count: usize) {
    pass(&*job, count, |_| 24)
}

#[no_mangle]
pub unsafe extern "C" fn region_pass_mix(job: *const RegionJob, count: usize) {
    let sizes = (*job).sizes;
    pass(&*job, count, |i| *sizes.add(i) as usize)
}

/* access: what the machine is said to read or write, against what the assembler made. */
#include "os/os.h"

#include <criterion/criterion.h>
#include <stddef.h>
#include <string.h>

#ifdef __x86_64__

/* Each instruction at an address of its own: number, its bytes' start, its text. */
#define EACH(row) \
    row(1, "movb %al, (%rdi)") row(2, "movw %ax, 8(%rdi)") row(4, "movl %eax, (%rdi,%rcx,4)") \
    row(8, "movq %rax, (%rdi)") row(8, "movq (%r12), %r9") row(4, "movl $7, 16(%rsp)") \
    row(8, "movq $7, 16(%rsp)") row(2, "movw $7, (%rdi)") row(1, "movb $7, (%rdi)") \
    row(1, "movzbl (%rdi), %eax") row(2, "movzwl (%rdi), %eax") row(1, "movsbq (%rdi), %rax") \
    row(2, "movswq (%rdi), %rax") row(4, "movslq (%rdi), %rax") row(8, "addq %rax, (%rdi)") \
    row(4, "addl (%rdi), %eax") row(1, "cmpb $0, (%rdi)") row(4, "cmpl $100000, (%rdi)") \
    row(8, "cmpq $1, (%rdi)") row(1, "testb $1, (%rdi)") row(8, "testq %rax, (%rdi)") \
    row(4, "incl (%rdi)") row(8, "lock incq (%rdi)") row(8, "lock cmpxchgq %rcx, (%rdi)") \
    row(4, "lock xaddl %ecx, (%rdi)") row(16, "lock cmpxchg16b (%rdi)") \
    row(8, "xchgq %rax, (%rdi)") row(8, "call *(%rdi)") row(8, "jmp *(%rdi)") \
    row(8, "push (%rdi)") row(8, "pop (%rdi)") row(1, "rep movsb") row(8, "rep movsq") \
    row(8, "rep stosq") row(1, "scasb") row(8, "imulq (%rdi), %rax") \
    row(4, "imull $9, (%rdi), %eax") row(8, "cmoveq (%rdi), %rax") row(1, "sete (%rdi)") \
    row(4, "shll $2, (%rdi)") row(8, "btq $3, (%rdi)") row(16, "movups (%rdi), %xmm0") \
    row(16, "movaps %xmm9, (%rdi)") row(16, "movdqu (%rdi), %xmm1") \
    row(16, "movdqa %xmm1, (%rdi)") row(4, "movss (%rdi), %xmm0") row(8, "movsd %xmm0, (%rdi)") \
    row(8, "movq (%rdi), %xmm0") row(8, "movq %xmm0, (%rdi)") row(4, "movd (%rdi), %xmm0") \
    row(8, "movhps %xmm0, (%rdi)") row(8, "movlpd (%rdi), %xmm0") row(8, "movq (%rdi), %mm0") \
    row(8, "addsd (%rdi), %xmm0") row(4, "mulss (%rdi), %xmm0") row(16, "addps (%rdi), %xmm0") \
    row(16, "pxor (%rdi), %xmm0") row(16, "pcmpeqb (%rdi), %xmm0") \
    row(4, "ucomiss (%rdi), %xmm0") row(8, "ucomisd (%rdi), %xmm0") \
    row(4, "cvtsi2sdl (%rdi), %xmm0") row(8, "cvtsi2sdq (%rdi), %xmm0") \
    row(4, "cvtss2sd (%rdi), %xmm0") row(32, "vmovdqu (%rdi), %ymm0") \
    row(32, "vmovdqa %ymm9, (%r10)") row(16, "vmovups (%rdi), %xmm0") \
    row(8, "vmovsd (%rdi), %xmm0") row(4, "vmovss %xmm0, (%rdi)") \
    row(32, "vpcmpeqb (%rdi), %ymm0, %ymm1") row(64, "vmovdqu64 (%rdi), %zmm16") \
    row(32, "vmovdqu64 %ymm16, (%rdi)") row(64, "vmovups %zmm0, (%rdi)") \
    row(0, "movq %rax, %rcx") row(0, "addsd %xmm1, %xmm0") row(0, "nop") row(0, "ret") \
    row(0, "vpermd (%rdi), %ymm0, %ymm1") row(0, "vmovdqu32 (%rdi), %zmm0{%k1}")

#define TEXT(bytes, text) "    .p2align 4, 0x90\n    " text "\n"
__asm__(".text\n    .p2align 4, 0x90\nof_access_rows:\n" EACH(TEXT) "    .p2align 4, 0x90\n");
extern const unsigned char of_access_rows[];

#define ROW(bytes, text) {bytes, text},
static const struct {
    size_t bytes;
    const char *text;
} rows[] = {EACH(ROW)};

Test(access, sizes_are_the_instruction_s)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        size_t found = os_access_size(of_access_rows + 16 * i);
        cr_expect_eq(found, rows[i].bytes, "%s: %zu bytes, found %zu", rows[i].text, rows[i].bytes,
                     found);
    }
}

#endif

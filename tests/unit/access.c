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
    row(0, "vpermd (%rdi), %ymm0, %ymm1") row(0, "vmovdqu32 (%rdi), %zmm0{%k1}") \
    row(0, "vpermd (%rdi), %zmm0, %zmm1")

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

/* What an assembler leaves out or writes in one order only, and what needs no text. */
static const struct {
    size_t bytes;
    const char *text;
    unsigned char code[12];
} by_hand[] = {
    {8, "data16 movq %rax, (%rdi)", {0x66, 0x48, 0x89, 0x07}},
    {2, "rep movsw, its word first", {0x66, 0xF3, 0xA5}},
    {2, "rep movsw, its word last", {0xF3, 0x66, 0xA5}},
    {4, "movl %es:(%rdi), %eax", {0x26, 0x8B, 0x07}},
    {4, "movl %cs:(%rdi), %eax", {0x2E, 0x8B, 0x07}},
    {4, "movl %ss:(%rdi), %eax", {0x36, 0x8B, 0x07}},
    {4, "movl %ds:(%rdi), %eax", {0x3E, 0x8B, 0x07}},
    {4, "movl %fs:(%rdi), %eax", {0x64, 0x8B, 0x07}},
    {8, "movq %gs:(%rdi), %rax", {0x65, 0x48, 0x8B, 0x07}},
    {4, "movl (%edi), %eax", {0x67, 0x8B, 0x07}},
    {1, "addb %al, (%rdi)", {0x00, 0x07}},
    {0, "testb $1, %al", {0xA8, 0x01}},
    {0, "testl $1, %eax", {0xA9, 0x01, 0x00, 0x00, 0x00}},
    {8, "cvtps2pd (%rdi), %xmm0", {0x0F, 0x5A, 0x07}},
    {16, "cvtpd2ps (%rdi), %xmm0", {0x66, 0x0F, 0x5A, 0x07}},
    {16, "movshdup (%rdi), %xmm0", {0xF3, 0x0F, 0x16, 0x07}},
    {4, "movd %xmm0, (%rdi)", {0x66, 0x0F, 0x7E, 0x07}},
    {8, "cmpxchg8b (%rdi)", {0x0F, 0xC7, 0x0F}},
};

Test(access, prefixes_in_any_order_and_what_stays_in_registers)
{
    for (size_t i = 0; i < sizeof by_hand / sizeof *by_hand; i++) {
        size_t found = os_access_size(by_hand[i].code);
        cr_expect_eq(found, by_hand[i].bytes, "%s: %zu bytes, found %zu", by_hand[i].text,
                     by_hand[i].bytes, found);
    }
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* dlopen(file, flags): asks redirect_name() which file to open and jumps to the next dlopen with the
 * return address untouched. glibc finds RUNPATH, $ORIGIN and the namespace by that address; a call
 * from here would give it ours. */

    .text
    .globl dlopen
    .type dlopen, %function
    .hidden redirect_name
    .hidden redirect_next

#if defined(__x86_64__)

    .p2align 4
dlopen:
    .cfi_startproc
    endbr64
    subq $24, %rsp
    .cfi_adjust_cfa_offset 24
    movl %esi, 8(%rsp)
    call redirect_name
    movq %rax, (%rsp)
    call redirect_next
    movq (%rsp), %rdi
    movl 8(%rsp), %esi
    addq $24, %rsp
    .cfi_adjust_cfa_offset -24
    jmp *%rax
    .cfi_endproc
    .size dlopen, . - dlopen

/* Without this note the linker drops CET from the whole library: 3 is IBT and SHSTK. */
#define PROPERTY 0xc0000002
#define FEATURES 3

#elif defined(__aarch64__)

    .p2align 2
dlopen:
    .cfi_startproc
    hint #34 /* bti c */
    stp x29, x30, [sp, #-32]!
    .cfi_def_cfa_offset 32
    .cfi_offset x29, -32
    .cfi_offset x30, -24
    mov x29, sp
    str w1, [sp, #24]
    bl redirect_name
    str x0, [sp, #16]
    bl redirect_next
    /* x16: a branch through it may land on a `bti c`. */
    mov x16, x0
    ldr x0, [sp, #16]
    ldr w1, [sp, #24]
    ldp x29, x30, [sp], #32
    .cfi_restore x29
    .cfi_restore x30
    .cfi_def_cfa_offset 0
    br x16
    .cfi_endproc
    .size dlopen, . - dlopen

/* Without this note the linker drops BTI from the whole library: 1 is BTI; we sign no address. */
#define PROPERTY 0xc0000000
#define FEATURES 1

#else
#error "shadowcl has no dlopen for this processor: x86-64 and aarch64 only"
#endif

    .section .note.gnu.property, "a", %note
    .p2align 3
    .long 4
    .long 16
    .long 5 /* NT_GNU_PROPERTY_TYPE_0 */
    .asciz "GNU"
    .long PROPERTY
    .long 4
    .long FEATURES
    .long 0

    .section .note.GNU-stack, "", %progbits

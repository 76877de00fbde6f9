/* The smallest useful Xen PV guest: it blocks for ever in SCHEDOP_poll (no
   ports, no timeout), needs 8 MiB and no CPU. It ignores requests to shut
   down, so destroy it. */
.code64
.section .text
.globl _start
_start:
1:	mov $29, %eax          /* __HYPERVISOR_sched_op */
	mov $3, %edi           /* SCHEDOP_poll */
	lea poll(%rip), %rsi
	syscall
	jmp 1b
.section .data
.align 16
poll:	.quad 0                /* ports */
	.long 0, 0             /* number of ports, padding */
	.quad 0                /* timeout: none */
.macro NOTE type, desc:vararg
	.pushsection .note.Xen, "a", @note
	.align 4
	.long 4, 3f-2f, \type
	.asciz "Xen"
2:	\desc
3:	.align 4
	.popsection
.endm
NOTE 6, .asciz "idlepv"            /* guest OS */
NOTE 8, .asciz "generic"           /* loader */
NOTE 5, .asciz "xen-3.0"           /* version of Xen */
NOTE 9, .asciz "yes"               /* PAE mode */
NOTE 3, .quad 0xffffffff80000000   /* virtual base */
NOTE 4, .quad 0xffffffff80000000   /* offset of physical addresses */
NOTE 1, .quad _start               /* entry */

/* SPDX-License-Identifier: Apache-2.0 */
/* Kernels and their arguments as messages. See save.h. */
#include "serialize/save.h"

static const void *value_of(const struct kernel_arg *arg)
{
    return arg->is_outside ? arg->outside : arg->inside;
}

static void save_arg(const struct kernel_arg *arg, Shadowcl__Image__KernelArg *to)
{
    shadowcl__image__kernel_arg__init(to);
    to->kind = (Shadowcl__Image__KernelArg__Kind)arg->kind;
    to->size = arg->size;
    if (arg->kind == ARG_BYTES || arg->kind == ARG_SVM)
        to->value = save_bytes(value_of(arg), arg->size);
    if (arg->kind == ARG_OBJECT && object_alive(arg->object, arg->generation))
        to->object = save_serial(arg->object);
}

Shadowcl__Image__KernelArg **save_args(struct scratch *scratch, const struct kernel_arg *args,
                                       size_t count)
{
    Shadowcl__Image__KernelArg **list = scratch_array(scratch, count, sizeof *list);
    Shadowcl__Image__KernelArg *all = scratch_array(scratch, count, sizeof *all);
    for (size_t i = 0; list && all && i < count; i++) {
        save_arg(&args[i], &all[i]);
        list[i] = &all[i];
    }
    return all ? list : NULL;
}

static void save_execs(struct scratch *scratch, const struct kernel *kernel,
                       Shadowcl__Image__Kernel *to)
{
    size_t count = 0;
    for (const struct kernel_exec *exec = kernel->execs; exec; exec = exec->next)
        count++;
    to->execs = scratch_array(scratch, count, sizeof(void *));
    Shadowcl__Image__KernelExec *execs = scratch_array(scratch, count, sizeof *execs);
    if (!to->execs || !execs)
        return;
    for (const struct kernel_exec *exec = kernel->execs; exec; exec = exec->next) {
        Shadowcl__Image__KernelExec *one = &execs[to->n_execs];
        to->execs[to->n_execs++] = one;
        shadowcl__image__kernel_exec__init(one);
        one->param = exec->param;
        one->value = save_bytes(exec->value, exec->size);
    }
}

void save_kernel(struct scratch *scratch, const struct kernel *kernel, Shadowcl__Image__Kernel *to)
{
    to->program = save_serial(kernel->program);
    to->name = save_text(kernel_name(kernel));
    to->args = save_args(scratch, kernel->args, kernel->num_args);
    to->n_args = to->args ? kernel->num_args : 0;
    save_execs(scratch, kernel, to);
    to->info = save_info(scratch, &kernel->info, &to->n_info);
    to->largest_group = atomic_load(&((struct kernel *)kernel)->largest_group);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* A library that knows functions by name, as a driver does, but no platforms. */
void *clGetExtensionFunctionAddress(const char *name);

void *clGetExtensionFunctionAddress(const char *name)
{
    return (void *)0;
}

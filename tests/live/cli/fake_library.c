/* SPDX-License-Identifier: Apache-2.0 */
/* A library with nothing in it, to stand for ours, and for others' and drivers, where only the name
 * counts. */
int fake_library_present(void);
int clIcdGetPlatformIDsKHR(void); /* by which a driver is known */

int clIcdGetPlatformIDsKHR(void)
{
    return -1001;
}

int fake_library_present(void)
{
    return 1;
}

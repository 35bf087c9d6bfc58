/* SPDX-License-Identifier: Apache-2.0 */
/* The library that outer.c opens. */

void inner(void);

void inner(void)
{
}

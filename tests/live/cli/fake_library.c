/* SPDX-License-Identifier: Apache-2.0 */
/* A library with nothing in it, to stand for ours and for others' where only the name counts. */
int fake_library_present(void);

int fake_library_present(void)
{
    return 1;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* A JSON value as indented lines, for people. */
#ifndef SHADOWCL_AGENT_JSON_TEXT_H
#define SHADOWCL_AGENT_JSON_TEXT_H

#include <jansson.h>

/* To standard output: "name: value", what is in it further right. What is null or empty is left
 * out. Text of several lines stands for itself, without control characters. */
void json_text_print(const char *name, const json_t *value, int indent);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* `shadowcl verify`: is an image whole, and with a device: does all that is in it come to be there,
 * with the same bytes, and how fast? */
#include "agent/answer.h"
#include "agent/image_json.h"
#include "agent/options.h"
#include "agent/progress.h"
#include "agent/rebuild.h"
#include "agent/text.h"
#include "agent/verbs.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Seconds: some drivers take minutes to build programs. */
static const double rebuild_time = 600;
enum { MAX_TEXT = 256 };

struct verify {
    struct options options;
    struct loaded image;
    struct progress progress;
    uint64_t size;
    bool is_whole;
    double ms;
    json_t *outcome; /* owned: of the device; NULL: it was not asked, or failed */
    struct error error;
};

static const struct argp_option verify_options[] = {
    {"device", OPTION_DEVICE, "SPEC", 0,
     "Make all of it on this device too, in a process of its own, read it back and compare: "
     "PLATFORM:INDEX, a name, part of a name or a number; with commas, one for each device in use",
     0},
    OPTIONS_STRICT,
    OPTIONS_JSON,
    {"timeout", OPTION_TIMEOUT, "SEC", 0,
     "Give the device up after so many seconds, 600 by default", 0},
    {0}};

static const struct argp verify_argp = {
    verify_options,
    options_parse_one,
    "FILE",
    "Check every byte of an image file. With --device, also make all that is in it on that device, "
    "read it back and compare, and say how long a resume there takes."
    "\v"
    "Exit codes: 0 it is whole, and all of it comes to be there; 1 it does not, the message says "
    "where and why; 2 wrong usage.",
    NULL,
    NULL,
    NULL};

static bool tell(void *data, uint64_t done)
{
    struct verify *verify = data;
    double size = verify->size ? (double)verify->size : 1;
    progress_tell(&verify->progress, verify->image.path, (double)done / size);
    return !exchange_was_interrupted();
}

static int check_bytes(struct verify *verify)
{
    struct loaded *image = &verify->image;
    double start = text_clock();
    verify->size = image_reader_size(image->reader);
    progress_start(&verify->progress, "verifying");
    int result = image_reader_verify(image->reader, tell, verify, &verify->error);
    progress_end(&verify->progress);
    verify->ms = (text_clock() - start) * 1e3;
    verify->is_whole = result == 0;
    return result < 0 ? loaded_name(image, &verify->error) : 0;
}

static const json_t *contents_of(const struct verify *verify)
{
    return json_object_get(verify->outcome, "contents");
}

static size_t num_different(const struct verify *verify)
{
    size_t count = 0;
    for (size_t i = 0; i < json_array_size(contents_of(verify)); i++)
        count += !json_is_true(json_object_get(json_array_get(contents_of(verify), i), "same"));
    return count;
}

/* It says of each whether it is the same; that it says so of each is for us to see. */
static int check_contents(struct verify *verify)
{
    size_t count;
    image_reader_all_contents(verify->image.reader, &count);
    size_t missing = json_array_size(json_object_get(verify->outcome, "missing"));
    size_t read_back = json_array_size(contents_of(verify)), different = num_different(verify);
    if (missing || (read_back == count && !different))
        return 0;
    error_object(&verify->error, "file `%.100s`", verify->image.path);
    if (different)
        error_set(&verify->error, 0,
                  "read back from the device, the contents of %zu of %zu objects "
                  "are not the same",
                  different, count);
    else
        error_set(&verify->error, 0, "the contents of %zu of %zu objects were read back", read_back,
                  count);
    return error_todo(&verify->error, "don't use that device: --json tells which objects they are");
}

static int check_device(struct verify *verify)
{
    const struct options *options = &verify->options;
    if (!*options->resume.device)
        return 0;
    verify->outcome =
        rebuild_run("verify", options->files[0], options->resume.device, options->resume.strict,
                    options->timeout > 0 ? options->timeout : rebuild_time, &verify->error);
    return verify->outcome ? check_contents(verify) : -1;
}

static double ms_of(const struct verify *verify, const char *name)
{
    return json_number_value(json_object_get(json_object_get(verify->outcome, "ms"), name));
}

static void print_bytes(const struct verify *verify)
{
    char file[MAX_TEXT], bytes[32];
    double seconds = verify->ms / 1e3;
    printf("%s: whole: %s checked in %.1f ms", text_clean(file, sizeof file, verify->image.path),
           text_bytes(bytes, sizeof bytes, verify->size), verify->ms);
    if (seconds > 0)
        printf(" (%.2f GB/s)", (double)verify->size / seconds / 1e9);
    putchar('\n');
}

static void print_device(const struct verify *verify)
{
    char file[MAX_TEXT], bytes[32];
    uint64_t size = (uint64_t)json_integer_value(json_object_get(verify->outcome, "bytes"));
    printf("%s: resumes", text_clean(file, sizeof file, verify->image.path));
    rebuild_print_devices(verify->outcome);
    printf(" in %.1f ms (load %.1f, rebuild %.1f); %s of contents read back in %.1f ms are the "
           "same\n",
           ms_of(verify, "load") + ms_of(verify, "rebuild"), ms_of(verify, "load"),
           ms_of(verify, "rebuild"), text_bytes(bytes, sizeof bytes, size),
           ms_of(verify, "read_back"));
}

static bool resumes(const struct verify *verify, int result)
{
    return result == 0 && verify->outcome &&
           !json_array_size(json_object_get(verify->outcome, "missing"));
}

static void say(const struct verify *verify, int result)
{
    if (verify->is_whole && !verify->options.json)
        print_bytes(verify);
    if (result < 0)
        report_error("verify", &verify->error);
    if (verify->outcome)
        rebuild_say("verify", verify->image.path, verify->outcome);
    if (resumes(verify, result) && !verify->options.json)
        print_device(verify);
    fflush(stdout);
}

static json_t *part(const struct verify *verify, const char *name)
{
    json_t *list = json_object_get(verify->outcome, name);
    return json_is_array(list) ? json_incref(list) : json_array();
}

static int print_json(const struct verify *verify, int result)
{
    bool was_asked = *verify->options.resume.device && verify->is_whole;
    json_t *ms =
        json_pack("{s:f, s:f, s:f, s:f}", "verify", verify->ms, "load", ms_of(verify, "load"),
                  "rebuild", ms_of(verify, "rebuild"), "read_back", ms_of(verify, "read_back"));
    json_t *element =
        json_pack("{s:o, s:o, s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "file",
                  answer_string(verify->image.path), "image",
                  verify->image.reader ? image_json_file(&verify->image) : json_null(), "whole",
                  (int)verify->is_whole, "resumes",
                  was_asked ? json_boolean(resumes(verify, result)) : json_null(), "devices",
                  part(verify, "devices"), "warnings", part(verify, "warnings"), "missing",
                  part(verify, "missing"), "contents", part(verify, "contents"), "ms", ms, "error",
                  result < 0 ? answer_failure(&verify->error) : json_null());
    return answer_print(json_pack("[o]", element));
}

int verb_verify(int argc, char **argv)
{
    struct verify verify = {.options = {.takes_no_pids = true, .takes_files = 1}};
    options_parse(&verify.options, &verify_argp, argc, argv);
    exchange_catch_signals();
    int result = loaded_open(&verify.image, verify.options.files[0], &verify.error);
    if (result == 0)
        result = check_bytes(&verify);
    if (result == 0)
        result = check_device(&verify);
    say(&verify, result);
    int code =
        result == 0 && (!verify.outcome || resumes(&verify, result)) ? EXIT_DONE : EXIT_REFUSED;
    if (verify.options.json && print_json(&verify, result) < 0)
        code = EXIT_REFUSED;
    json_decref(verify.outcome);
    loaded_close(&verify.image);
    return code;
}

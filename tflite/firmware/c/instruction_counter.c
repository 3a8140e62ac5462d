/* A QEMU plugin that counts the instructions of each call of one function, what it calls included.

   Arguments: entry (address), out (path). Writes a line `calls least most total`, then `address instructions` for each
   address executed within calls. A call ends where the instruction after the calling one is reached.

   Written for version 1 of QEMU's plugin interface (QEMU 6 to 8). Its header is not in Debian's packages, so the few
   declarations needed stand here; source: QEMU, docs/devel/tcg-plugins.rst and the symbols the emulator exports. */
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uint64_t plugin_id;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
typedef void (*translated)(plugin_id id, struct qemu_plugin_tb *block);
typedef void (*executed)(unsigned core, void *data);
typedef void (*ended)(plugin_id id, void *data);

void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id id, translated callback);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn, executed callback, int flags, void *data);
void qemu_plugin_register_atexit_cb(plugin_id id, ended callback, void *data);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *block);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *block, size_t index);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);

__attribute__((visibility("default"))) int qemu_plugin_version = 1;

#define PLACES 65536u /* of two bytes each, from the start of the page of the entry's megabyte */

static uint64_t entry, base, return_to, count, calls, least = UINT64_MAX, most, total;
static uint64_t last_end;
static bool inside;
static const char *out;
static uint64_t hits[PLACES];

static void finish(void)
{
    inside = false;
    ++calls;
    total += count;
    least = count < least ? count : least;
    most = count > most ? count : most;
}

static void on_instruction(unsigned core, void *data)
{
    const uint64_t packed = (uintptr_t)data, address = packed >> 3, size = packed & 7;
    (void)core;
    if (inside && address == return_to) {
        finish();
    }
    if (!inside && address == entry) {
        inside = true;
        count = 0;
        return_to = last_end;
    }
    if (inside) {
        ++count;
        const uint64_t place = (address - base) / 2;
        if (place < PLACES) {
            ++hits[place];
        }
    }
    last_end = address + size;
}

static void on_block(plugin_id id, struct qemu_plugin_tb *block)
{
    (void)id;
    for (size_t i = 0; i < qemu_plugin_tb_n_insns(block); ++i) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(block, i);
        const uint64_t packed = qemu_plugin_insn_vaddr(insn) << 3 | qemu_plugin_insn_size(insn);
        qemu_plugin_register_vcpu_insn_exec_cb(insn, on_instruction, 0, (void *)(uintptr_t)packed);
    }
}

static void on_end(plugin_id id, void *data)
{
    FILE *file = fopen(out, "w");
    (void)id;
    (void)data;
    if (!file) {
        return;
    }
    fprintf(file, "%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", calls, calls ? least : 0, most, total);
    for (uint64_t place = 0; place < PLACES; ++place) {
        if (hits[place]) {
            fprintf(file, "%" PRIu64 " %" PRIu64 "\n", base + 2 * place, hits[place]);
        }
    }
    fclose(file);
}

__attribute__((visibility("default"))) int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv)
{
    (void)info;
    for (int i = 0; i < argc; ++i) {
        if (!strncmp(argv[i], "entry=", 6)) {
            entry = strtoull(argv[i] + 6, NULL, 0) & ~UINT64_C(1);
        } else if (!strncmp(argv[i], "out=", 4)) {
            out = strdup(argv[i] + 4);
        }
    }
    if (!entry || !out) {
        fprintf(stderr, "instruction_counter: expected entry=ADDRESS,out=PATH\n");
        return -1;
    }
    base = entry & ~UINT64_C(0xFFFFF);
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_block);
    qemu_plugin_register_atexit_cb(id, on_end, NULL);
    return 0;
}

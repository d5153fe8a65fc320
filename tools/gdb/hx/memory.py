# SPDX-License-Identifier: MIT
"""Memory: hx-vma, hx-pt, hx-page, hx-slab."""
import gdb
from hx import core, tasks, vma

PRESENT, WRITE, USER, ACCESSED, DIRTY, LARGE, GLOBAL, NONE, NX = (1 << b for b in (0, 1, 2, 5, 6, 7, 8, 11, 63))
ADDRESS = 0x000ffffffffff000
LEVELS = ("PTE", "PMD", "PUD", "PGD")
FRAME_TABLE, FRAME_TABLE_END = 0xffffc00000000000, 0xffffd00000000000    # macros of arch/mem.h: no symbol says them


@core.command("hx-vma", "[PID]")
def hx_vma(words):
    """The address space of a process (default: the current one): its areas, as /proc/PID/maps has them, with struct vm_area."""
    process = tasks.process_by_pid(core.evaluate(words[0])) if words else tasks.current_process()
    if int(process["space"]) == 0:
        core.fail("the process has no memory any more")
    space = process["space"].dereference()
    core.say(f"(struct vm_space *) {int(space.address):#x}, {int(space['nr_areas'])} areas, {int(space['total_pages']) * 4} KiB, "
             f"tables at {int(space['root']):#x}")
    try:
        for area in vma.areas(space):
            offset = int(area["pgoff"]) << 12 if int(area["object"]) else 0
            core.say(f"{int(area['start']):012x}-{int(area['end']):012x} {vma.rights(area)} {offset:08x} "
                     f"{int(area.address):#018x} {vma.area_name(area, space)}".rstrip())
    except core.Broken as broken:
        core.say(f"broken {broken}")


# ---- page tables ---------------------------------------------------------------------------------

def describe_entry(entry, level):
    if entry == 0:
        return "none"
    if not entry & (PRESENT | NONE):
        return "not present (swap)"
    words = ["table" if level and not entry & LARGE else f"{4 << 9 * level} KiB" if level < 2 else "1 GiB"]
    words.append("PROT_NONE" if not entry & PRESENT else "r" + ("w" if entry & WRITE else "-") + ("-" if entry & NX else "x"))
    for bit, name in ((USER, "user"), (GLOBAL, "global"), (ACCESSED, "accessed"), (DIRTY, "dirty"), (1 << 4, "uncached")):
        if entry & bit:
            words.append(name)
    if entry >> 9 & 3:
        words.append(f"soft {entry >> 9 & 3}")
    return " ".join(words)


def walk(root, address):
    """(level, physical address of the entry, entry) from the root down to what decides."""
    table = root & ADDRESS
    for level in range(3, -1, -1):
        at = table + 8 * (address >> 12 + 9 * level & 511)
        entry = int.from_bytes(core.read_phys(at, 8), "little")
        yield level, at, entry
        if not entry & PRESENT or level == 0 or entry & LARGE:
            return
        table = entry & ADDRESS


def translate(root, address):
    """Physical address, or None."""
    level, _, entry = list(walk(root, address))[-1]
    if not entry & (PRESENT | NONE) or (level and not entry & LARGE):
        return None
    size = 1 << 12 + 9 * level
    return (entry & ADDRESS & ~(size - 1)) | (address & size - 1)


def root_now():
    return int(gdb.parse_and_eval("(unsigned long)$cr3")) & ADDRESS


def root_of(words, index):
    if len(words) <= index:
        return root_now()
    process = tasks.process_by_pid(core.evaluate(words[index]))
    if int(process["space"]) == 0:
        core.fail("the process has no memory any more")
    return int(process["space"]["root"])


@core.command("hx-pt", "ADDRESS [PID]")
def hx_pt(words):
    """Walks the page tables for an address: those that the selected CPU uses, or those of a process."""
    if not words:
        core.fail("say which address")
    address, root = core.evaluate(words[0]), root_of(words, 1)
    if address >> 47 not in (0, 0x1ffff):
        core.fail(f"{address:#x} is not canonical")
    core.say(f"root {root:#x}")
    for level, at, entry in walk(root, address):
        core.say(f"{LEVELS[level]} [{address >> 12 + 9 * level & 511:3}] at {at:#014x}: {entry:#018x} {describe_entry(entry, level)}")
    physical = translate(root, address)
    core.say(f"{address:#x} is physical {physical:#x}" if physical is not None else f"{address:#x} is not mapped")


# ---- struct page ---------------------------------------------------------------------------------

def page_of(physical):
    """The struct page of a physical address, or None where the frame table has no such entry."""
    size = core.type_of("struct page").sizeof
    page = core.at("struct page", FRAME_TABLE + (physical >> 12) * size)
    try:
        page.fetch_lazy()
        return page
    except gdb.MemoryError:
        return None


def physical_of(page):
    """Of a struct page, by its address."""
    return (int(page) - FRAME_TABLE) // core.type_of("struct page").sizeof << 12


FLAGS = ("dirty", "uptodate", "accessed", "locked", "anon")


def show_page(page):
    pfn = physical_of(page.address) >> 12
    types = core.enum_names("enum page_type", "PAGE_")
    kind = types.get(int(page["type"]), "?")
    flags = " ".join(n for i, n in enumerate(FLAGS) if int(page["flags"]) & 1 << i)
    core.say(f"(struct page *) {int(page.address):#x}: frame {pfn:#x}, physical {pfn << 12:#x}, {kind}, order {int(page['order'])}, "
             f"{int(page['refcount']['v'])} references, {int(page['pins']['v'])} pins{', ' + flags if flags else ''}")
    if kind == "slab":
        slab = page["slab"]
        core.say(f"slab of cache \"{core.text_of(slab['cache']['name'])}\": {int(slab['inuse'])} of {int(slab['total'])} objects out")
    elif kind == "table":
        core.say(f"page table: {int(page['pt']['live'])} entries in use")
    elif kind == "user":
        owner = int(page["object"])
        core.say(f"page {int(page['index'])} of (struct vm_object *) {owner:#x}" if owner else "in no object: private memory")
    elif kind == "tail":
        core.say("of the block that begins at:")
        show_page(page["head"].dereference())


@core.command("hx-page", "ADDRESS | phys PHYSICAL")
def hx_page(words):
    """The struct page behind an address: of a struct page, of anything that the selected CPU maps, or a physical one.
Says what the page is used for, and for a slab which object the address lies in."""
    if not words or (words[0] == "phys" and len(words) < 2):
        core.fail("say which address")
    address = core.evaluate(words[-1])
    if words[0] == "phys":
        physical = address
    elif FRAME_TABLE <= address < FRAME_TABLE_END:
        show_page(core.at("struct page", address))
        return
    else:
        physical = translate(root_now(), address)
        if physical is None:
            core.fail(f"{address:#x} is not mapped (hx-pt {address:#x})")
    page = page_of(physical)
    if page is None:
        core.say(f"physical {physical:#x} has no struct page: not RAM, or not yet in use")
        return
    show_page(page)
    head = page["head"].dereference() if int(page["type"]) == tail_number() else page
    if core.enum_names("enum page_type", "PAGE_").get(int(head["type"])) == "slab":
        show_object(head, physical)


def tail_number():
    return int(gdb.parse_and_eval("PAGE_TAIL"))


def show_object(slab, physical):
    cache = slab["slab"]["cache"].dereference()
    start = physical_of(slab.address)
    number = (physical - start) // int(cache["stride"])
    base = start + number * int(cache["stride"]) + int(cache["offset"])
    if number >= int(slab["slab"]["total"]):
        core.say("behind the last object")
        return
    core.say(f"object {number} at {base + int(core.symbol('hal_direct_map_base')):#x}, {int(cache['object_size'])} bytes, "
             f"{physical - base:+} from its start")


# ---- slab ----------------------------------------------------------------------------------------

def in_magazines(cache):
    total = 0
    for cpu in core.cpus():
        if int(core.percpu("magazines_ready", cpu, "kernel/mm/slab.c")):
            total += int(core.percpu("magazines", cpu, "kernel/mm/slab.c")[int(cache["id"])]["count"])
    return total


@core.command("hx-slab", "[NAME]")
def hx_slab(words):
    """All caches of the slab allocator, or those whose name contains NAME: objects in use, free ones that CPUs keep, slabs."""
    core.say(f"{'CACHE':24} {'SIZE':>6} {'IN USE':>8} {'KEPT':>6} {'SLABS':>6} {'KIB':>8} struct kmem_cache")
    for cache in core.list_entries(core.symbol("cache_list", "kernel/mm/slab.c"), "struct kmem_cache", "node"):
        name = core.text_of(cache["name"])
        if words and words[0] not in name:
            continue
        kept, slabs = in_magazines(cache), int(cache["slabs"])
        core.say(f"{name:24} {int(cache['object_size']):6} {int(cache['out']) - kept:8} {kept:6} {slabs:6} "
                 f"{(slabs << int(cache['order'])) * 4:8} {int(cache.address):#x}")

"""Apple's contract, sections 3 and 4: making, changing and freeing memory."""

from __future__ import annotations

from interlock.contract.entitlements import ALLOW_JIT, SINGLE_JIT
from interlock.contract.profile import MacosVersion
from interlock.contract.rule import Condition, Observation, Rule
from interlock.contract.rule_words import (
    ENFORCING,
    HARDENED,
    NATIVE,
    ON_APPLE_SILICON,
    ON_IOS,
    UNSIGNED,
    X86_ENFORCING,
    any_errno,
    code_signing_kill,
    doc,
    errno,
    inf,
    none,
    obs,
    signal,
    silent,
    src,
    tested,
    unk,
)

_MPROTECT_SINCE = MacosVersion(11, 2)
_NO_DOWNGRADE = Condition(chips=NATIVE, macos_from=_MPROTECT_SINCE)
_EITHER_WX = (ON_APPLE_SILICON, X86_ENFORCING)
_NO_JIT = Condition(hardened=True, not_entitled=(ALLOW_JIT, *UNSIGNED))
_ONE_REGION = (
    Condition(hardened=True, entitled=(ALLOW_JIT,)),
    Condition(entitled=(SINGLE_JIT,)),
)
_OLD_KERNEL = Condition(macos_before=MacosVersion(10, 14))

ALLOCATION = (
    Rule(
        id="A1",
        statement="Memory that will ever be writable and executable at once must be made with MAP_JIT in the mmap call itself; the flag cannot be added later.",
        when=_EITHER_WX,
        effects=(
            errno("EINVAL", "a refusal by the security policy comes first", when=ENFORCING),
            errno("EACCES", "the kernel's memory layer refuses", when=ON_APPLE_SILICON),
        ),
        evidence=(
            doc("mmap(2)"),
            src("xnu"),
            obs("dotnet/coreclr#18617"),
            unk("which errno under the Hardened Runtime: question 2"),
        ),
        observation=Observation.SCENARIO,
        example="mmap(0, n, RWX, MAP_ANON | MAP_PRIVATE, -1, 0)  → MAP_FAILED\nmmap(0, n, RWX, MAP_ANON | MAP_PRIVATE | MAP_JIT, -1, 0)  → memory",
    ),
    Rule(
        id="A2",
        statement="MAP_JIT needs MAP_ANON and MAP_PRIVATE, and excludes MAP_FIXED, MAP_SHARED, a file, MAP_RESILIENT_* and MAP_TPRO.",
        effects=(errno("EINVAL", "the combination of flags is refused"),),
        evidence=(src("xnu kern_mman.c, the same list in 10.15"),),
        observation=Observation.SCENARIO,
        example="mmap(0, n, RWX, MAP_ANON | MAP_SHARED | MAP_JIT, -1, 0)  → MAP_FAILED, EINVAL",
    ),
    Rule(
        id="A3",
        statement="Neither MAP_PRIVATE nor MAP_SHARED, a length of 0, and unknown flag bits are refused.",
        effects=(errno("EINVAL", "the call is refused"),),
        evidence=(doc("mmap(2)"), src("xnu")),
        observation=Observation.SCENARIO,
        example="mmap(0, 0, RWX, MAP_ANON | MAP_PRIVATE | MAP_JIT, -1, 0)  → MAP_FAILED, EINVAL",
    ),
    Rule(
        id="A4",
        statement="An address hint without MAP_FIXED is allowed with MAP_JIT and may be ignored: look at the address that came back.",
        effects=(silent("branches to fixed places no longer reach"),),
        evidence=(obs("openjdk/jdk#294"), src("xnu; iOS-style maps always randomise")),
        observation=Observation.SCENARIO,
        example="void *p = mmap(hint, n, RWX, MAP_ANON | MAP_PRIVATE | MAP_JIT, -1, 0);\nif (p != hint) { /* recompute every branch that counted on it */ }",
    ),
    Rule(
        id="A5",
        statement="The descriptor of an anonymous mapping is read as VM tag bits: pass -1 or VM_MAKE_TAG(n); 64 is JavaScript's JIT.",
        effects=(errno("EINVAL", "other bits are set"),),
        evidence=(doc("mmap(2), mach/vm_statistics.h"), src("xnu")),
        observation=Observation.SCENARIO,
        example="mmap(0, n, RWX, MAP_ANON | MAP_PRIVATE | MAP_JIT, VM_MAKE_TAG(64), 0)  → memory\nmmap(0, n, RWX, MAP_ANON | MAP_PRIVATE | MAP_JIT, 3, 0)  → MAP_FAILED, EINVAL",
    ),
    Rule(
        id="A6",
        statement="Asking for write or execute implies read.",
        effects=(none("the memory is readable as well"),),
        evidence=(src("xnu"),),
        observation=Observation.SCENARIO,
        example="char *p = mmap(0, n, PROT_WRITE, MAP_ANON | MAP_PRIVATE, -1, 0);\nreturn p[0];  /* no fault */",
    ),
    Rule(
        id="A7",
        statement="A hardened process with allow-jit, and any process with single-jit, is to make one MAP_JIT region: design for one and divide it.",
        when=_ONE_REGION,
        effects=(errno("EINVAL", "the second region is refused, where the limit is enforced"),),
        evidence=(
            doc("the article: only one region"),
            src("xnu: macOS maps may have many unless single-jit"),
            obs("two regions accepted on macOS 26.6, M4, ad hoc, hardened, allow-jit"),
            unk("Developer ID, App Sandbox, Mac App Store: question 1"),
        ),
        observation=Observation.SCENARIO,
        example="mmap(… MAP_JIT …)  → memory\nmmap(… MAP_JIT …)  → MAP_FAILED, EINVAL, where enforced",
    ),
    Rule(
        id="A8",
        statement="MAP_JIT needs allow-jit (or an entitlement that includes it) when, and only when, the process is hardened.",
        when=(_NO_JIT,),
        effects=(errno("EINVAL", "a policy's refusal of an anonymous mapping becomes EINVAL"),),
        evidence=(
            doc("the article, mmap(2)"),
            src("xnu"),
            obs("EINVAL on macOS 26.6; look at MAP_FAILED, never at errno"),
        ),
        observation=Observation.SCENARIO,
        example="codesign --options runtime without entitlements:\nmmap(… MAP_JIT …)  → MAP_FAILED",
    ),
    Rule(
        id="A9",
        statement="A failed mmap returns MAP_FAILED, all bits set, and not NULL.",
        effects=(signal("SIGSEGV", "the first access is near address -1"),),
        evidence=(doc("mmap(2)"), obs("brianquinlan/brainfuck-jit#1")),
        observation=Observation.SCENARIO,
        example="if (p == NULL) …        /* never true */\nif (p == MAP_FAILED) …  /* right */",
    ),
    Rule(
        id="A10",
        statement="macOS lets MAP_JIT memory start without RWX and be raised by mprotect; the thread switch governs it only once it is RWX.",
        effects=(
            none("PROT_NONE, RW and RX are plain page protections"),
            errno("EACCES", "iOS refuses MAP_JIT without RWX", when=ON_IOS),
        ),
        evidence=(src("xnu vm_map_enter, vm_map_entry_cs_associate"), obs("dotnet/runtime#65341")),
        observation=Observation.SCENARIO,
        example="p = mmap(0, n, PROT_NONE, MAP_ANON | MAP_PRIVATE | MAP_JIT, -1, 0);\nmprotect(p, n, RW);  *p = …;  mprotect(p, n, RX);  /* allowed; no toggle involved */",
    ),
    Rule(
        id="A11",
        statement="Make the region RWX if the thread switch is to be used: a region left RW or RX ignores the switch.",
        when=(ON_APPLE_SILICON,),
        effects=(signal("SIGBUS", "the toggle does nothing, and the page keeps its protection"),),
        evidence=(src("xnu, comment"), obs("php/php-src#9371")),
        observation=Observation.SCENARIO,
        example="p = mmap(0, n, RW, MAP_ANON | MAP_PRIVATE | MAP_JIT, -1, 0);\npthread_jit_write_protect_np(1);\n((fn)p)();  /* SIGBUS: the page is RW */",
    ),
    Rule(
        id="A12",
        statement="Pages have 16 KiB on Apple silicon and 4 KiB on Intel and under Rosetta: ask at run time.",
        effects=(
            errno("EINVAL", "mprotect of an address that is not aligned"),
            silent("neighbours change their protection with you", when=ON_APPLE_SILICON),
            signal("SIGBUS", "a write runs into the next page", when=ON_APPLE_SILICON),
        ),
        evidence=(doc("mprotect(2)"), obs("flyinghead/flycast#186")),
        observation=Observation.SCENARIO,
        example="mprotect(p + 4096, 4096, RX)  → EINVAL on Apple silicon\nmprotect(p + getpagesize(), getpagesize(), RX)  → 0",
    ),
    Rule(
        id="A13",
        statement="MAP_FIXED without MAP_JIT over a part of a MAP_JIT region succeeds and replaces it with ordinary memory.",
        effects=(
            code_signing_kill("the replaced part is executed", when=ENFORCING),
            silent("the replaced part is no JIT memory any more"),
            signal("SIGBUS", "it does not follow the thread switch"),
        ),
        evidence=(
            doc("mmap(2): deletes any previous mapping"),
            obs("dotnet/runtime#65341, flyinghead/flycast#2297"),
        ),
        observation=Observation.SCENARIO,
        example="mmap(jit + n, m, PROT_READ | PROT_WRITE, MAP_FIXED | MAP_PRIVATE, fd, 0)  → succeeds\n/* code there is no longer JIT memory */",
    ),
    Rule(
        id="A14",
        statement="Mapping a file as executable is no way round the Hardened Runtime, and a file cannot be MAP_JIT.",
        effects=(
            errno("EINVAL", "MAP_JIT with a file"),
            code_signing_kill("an unsigned file's page is executed", when=ENFORCING),
        ),
        evidence=(src("xnu"), obs("MacBottle#100")),
        observation=Observation.SCENARIO,
        example="mmap(0, n, RX, MAP_PRIVATE, fd, 0);  /* then a call into it: killed when hardened */",
    ),
    Rule(
        id="A15",
        statement="MAP_JIT is unreliable on kernels before 10.14: do not pass it there.",
        when=(_OLD_KERNEL,),
        effects=(any_errno("mmap fails; some kernels crash instead"),),
        evidence=(obs("herumi/xbyak#84, losnoco/Cog#48"),),
        observation=Observation.SCENARIO,
        example="int flags = MAP_ANON | MAP_PRIVATE | (macos >= 10.14 ? MAP_JIT : 0);",
    ),
)

CHANGING = (
    Rule(
        id="P1",
        statement="Never call mprotect on an RWX MAP_JIT page: not with the protection it has, and not with PROT_NONE for a guard.",
        when=(_NO_DOWNGRADE,),
        effects=(errno("EACCES", "the whole call fails if one page of the range is such a page"),),
        evidence=(
            src("xnu vm_map_protect since -7195.81.3"),
            obs("zherczeg/sljit#99, nodejs/node#37061"),
            inf("that it is exactly RWX which counts"),
        ),
        observation=Observation.SCENARIO,
        example="p = mmap(0, n, RWX, MAP_ANON | MAP_PRIVATE | MAP_JIT, -1, 0);\nmprotect(p, n, RWX)  → -1, EACCES, since macOS 11.2",
    ),
    Rule(
        id="P2",
        statement="A MAP_JIT page that is not RWX moves between RW and RX by mprotect and can be raised to RWX; after that it can never be lowered.",
        when=(_NO_DOWNGRADE,),
        effects=(errno("EACCES", "lowering after the raise"),),
        evidence=(
            src("xnu, comment: no downgrade"),
            obs("dotnet/runtime#65341, hardened with allow-jit too"),
        ),
        observation=Observation.SCENARIO,
        example="mprotect(p, n, RX);   /* 0 */\nmprotect(p, n, RWX);  /* 0: one way */\nmprotect(p, n, RX);   /* -1, EACCES */",
    ),
    Rule(
        id="P3",
        statement="mprotect to writable and executable at once fails on a page that is not MAP_JIT.",
        when=_EITHER_WX,
        effects=(errno("EACCES", "the protection is refused"),),
        evidence=(src("xnu"),),
        observation=Observation.SCENARIO,
        example="p = valloc(n);\nmprotect(p, n, RWX)  → -1, EACCES",
    ),
    Rule(
        id="P4",
        statement="Guard pages lie outside the MAP_JIT region, or are made before it is RWX, or are replaced by bounds checks.",
        when=(_NO_DOWNGRADE,),
        effects=(silent("the guard does not exist, if the return value is ignored"),),
        evidence=(obs("Homebrew/homebrew-core#73286, momo5502/sogen#1234"),),
        observation=Observation.SCENARIO,
        example="mprotect(jit + n - page, page, PROT_NONE);  /* fails: an overflow runs on */",
    ),
    Rule(
        id="P5",
        statement="Give pages back with madvise(MADV_FREE_REUSABLE and MADV_FREE_REUSE) or munmap, not with PROT_NONE.",
        effects=(none("munmap of all or of a part is allowed"),),
        evidence=(
            obs("nodejs/node#37295, the fix of V8"),
            tested("libpthread-tests munmap a region"),
            inf("munmap of a part, from xnu"),
        ),
        observation=Observation.SCENARIO,
        example="madvise(p, n, MADV_FREE_REUSABLE);  /* later: MADV_FREE_REUSE */",
    ),
    Rule(
        id="P6",
        statement="The zeroing variants of madvise are refused on MAP_JIT memory.",
        when=(ON_APPLE_SILICON,),
        effects=(any_errno("KERN_PROTECTION_FAILURE in the kernel; nobody wrote down the errno"),),
        evidence=(src("xnu"),),
        observation=Observation.SCENARIO,
        example="madvise(p, n, MADV_ZERO)  → -1",
    ),
    Rule(
        id="P7",
        statement="Writes by another process or through Mach into MAP_JIT memory are refused while signatures are enforced and the process is not being debugged.",
        when=(ON_APPLE_SILICON,),
        effects=(any_errno("KERN_PROTECTION_FAILURE from mach_vm_write"),),
        evidence=(src("xnu vm_map_entry_is_overwritable"),),
        observation=Observation.ADVICE,
        example="mach_vm_write(task, p, data, n)  → KERN_PROTECTION_FAILURE",
    ),
    Rule(
        id="P8",
        statement="Let the kernel write into JIT memory (read, pread, recv) through a buffer of your own and a copy in RW state only.",
        when=(ON_APPLE_SILICON,),
        effects=(
            errno("EFAULT", "the read is reported not to work; EFAULT is the model's choice"),
        ),
        evidence=(
            obs("dotnet/runtime#65341, #67118"),
            unk("mechanism, errno and state: question 7"),
        ),
        observation=Observation.SCENARIO,
        example="read(fd, buffer, n);\npthread_jit_write_protect_np(0);  memcpy(jit, buffer, n);  pthread_jit_write_protect_np(1);",
    ),
    Rule(
        id="P9",
        statement="A second mapping of the same memory is another scheme: RW and RX aliases of shared memory need allow-unsigned-executable-memory under the Hardened Runtime.",
        when=(HARDENED,),
        effects=(code_signing_kill("the executable alias is executed", when=ENFORCING),),
        evidence=(
            src("xnu: macOS lets a JIT entry be remapped, iOS-style maps do not"),
            obs("asmjit/asmjit#402 disagrees"),
            unk("which of both holds"),
        ),
        observation=Observation.SCENARIO,
        example="rw = mmap(… MAP_SHARED, fd …);  rx = mmap(… MAP_SHARED, fd …);  /* a call into rx: killed */",
    ),
)

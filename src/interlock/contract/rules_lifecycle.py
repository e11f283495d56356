"""Apple's contract, sections 9 and 10: fork, exec and signing; iOS for contrast."""

from __future__ import annotations

from interlock.contract.profile import MacosVersion
from interlock.contract.rule import Condition, Observation, Rule
from interlock.contract.rule_words import (
    ENFORCING,
    HARDENED,
    LISTED,
    NATIVE,
    ON_APPLE_SILICON,
    ON_IOS,
    build,
    crash,
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

_NOT_INHERITED = Condition(macos_before=MacosVersion(11))

LIFECYCLE = (
    Rule(
        id="K1",
        statement="fork hands MAP_JIT pages on since macOS 11, as copies that are JIT memory still; 10.14 and 10.15 did not.",
        effects=(
            signal("SIGSEGV", "the child calls JIT code", when=_NOT_INHERITED),
            none("the child has copies", when=Condition(macos_from=MacosVersion(11))),
        ),
        evidence=(src("xnu's history; iOS-style maps do not inherit"), obs("mono/mono#13445")),
        observation=Observation.SCENARIO,
        example="if (fork() == 0) ((fn)jit)();  /* crashes on 10.15 */",
    ),
    Rule(
        id="K2",
        statement="fork copies JIT pages at once, not when they are written.",
        when=(ON_APPLE_SILICON,),
        effects=(none("fork costs in proportion to the region's use"),),
        evidence=(src("xnu, comments"),),
        observation=Observation.ADVICE,
        example="reserve 1 GiB, use 4 MiB: fork copies 4 MiB",
    ),
    Rule(
        id="K3",
        statement="The state of the thread in a forked child is not documented: set it, or use the callback call.",
        when=(ON_APPLE_SILICON,),
        effects=(signal("SIGBUS", "the child counted on a state"),),
        evidence=(unk("question 4"),),
        observation=Observation.SCENARIO,
        example="if (fork() == 0) { pthread_jit_write_protect_np(1);  ((fn)jit)(); }",
    ),
    Rule(
        id="K4",
        statement="exec starts clean: no JIT memory, the default state, the list read anew.",
        effects=(none("nothing of the old image is left"),),
        evidence=(inf("what exec does"),),
        observation=Observation.SCENARIO,
        example="execve(…);  /* old addresses are unmapped */",
    ),
    Rule(
        id="K5",
        statement="Do not look for other libraries' JIT regions or toggle on their behalf: one register serves all.",
        when=(ON_APPLE_SILICON,),
        effects=(signal("SIGBUS", "as T1, in the other library"),),
        evidence=(inf("T1"),),
        observation=Observation.SCENARIO,
        example="pthread_jit_write_protect_np(0);  other_library_call();  /* its JIT code cannot run now */",
    ),
    Rule(
        id="K6",
        statement="Processes entitled to a JIT get a larger address space.",
        when=(ON_APPLE_SILICON,),
        effects=(none("larger reservations succeed"),),
        evidence=(src("xnu proc_apply_jit_and_vm_policies"),),
        observation=Observation.ADVICE,
        example="mmap of many GiB succeeds where it did not",
    ),
    Rule(
        id="K7",
        statement="allow-jit, allow-unsigned-executable-memory and disable-executable-page-protection change nothing without the Hardened Runtime.",
        when=(Condition(hardened=False),),
        effects=(none("they are ignored"),),
        evidence=(doc("mmap(2)"),),
        observation=Observation.SCENARIO,
        example="codesign -s - --entitlements jit.plist a.out  /* without --options runtime */",
    ),
    Rule(
        id="K8",
        statement="Set one of allow-jit, allow-unsigned-executable-memory and disable-executable-page-protection: each includes the one before.",
        when=(HARDENED,),
        effects=(silent("the process is protected less than it could be"),),
        evidence=(doc("Apple DTS, developer forums 776290"),),
        observation=Observation.SCENARIO,
        example="<key>com.apple.security.cs.allow-jit</key><true/>  <!-- and no other of the three -->",
    ),
    Rule(
        id="K9",
        statement="An entitlement that is not true is left out, not written as false.",
        effects=(silent("other versions may read it otherwise"),),
        evidence=(doc("developer.apple.com, Hardened Runtime"),),
        observation=Observation.SCENARIO,
        example="<key>com.apple.security.cs.allow-jit</key><false/>  <!-- remove both lines -->",
    ),
    Rule(
        id="K10",
        statement="Importing ctypes or cffi can itself need executable memory: libffi closures under the Hardened Runtime with allow-jit only are reported to hang or to fail.",
        when=(ENFORCING,),
        effects=(errno("ENOMEM", "MemoryError at import, or endless temporary files"),),
        evidence=(
            obs("kovidgoyal/kitty#10190, pyinstaller/pyinstaller#4629, OpenShot/openshot-qt#4510"),
            unk("which chips and versions"),
        ),
        observation=Observation.SCENARIO,
        example="python3 -c 'import ctypes'  # MemoryError in a hardened host",
    ),
)

IOS = (
    Rule(
        id="O1",
        statement="On iOS the allow-list is on for every process entitled to a JIT; without jit-write-allowlist it is empty and every callback crashes.",
        when=(ON_IOS,),
        effects=(
            crash(
                "pthread_jit_write_with_callback_np() callback not in allowlist",
                "any callback, without the entitlement",
            ),
        ),
        evidence=(src("libpthread _PTHREAD_CONFIG_JIT_LOCKDOWN_DEFAULT"), tested("libpthread")),
        observation=Observation.DEVICE,
        example="the same binary that works on a Mac without the entitlement crashes there",
    ),
    Rule(
        id="O2",
        statement="Browser extensions may use inline toggles with a witness; they stay inlined, and what they use stays in registers or signed.",
        when=(ON_IOS,),
        effects=(silent("an attacker finds a gadget that opens the window"),),
        evidence=(doc("BrowserEngineKit"),),
        observation=Observation.DEVICE,
        example="be_memory_inline_jit_restrict_rwx_to_rw_with_witness();",
    ),
    Rule(
        id="O3",
        statement="The callback call there needs both com.apple.developer.cs.allow-jit and jit-write-allowlist.",
        when=(ON_IOS,),
        effects=(build("the process has no JIT"),),
        evidence=(doc("BrowserEngineKit"),),
        observation=Observation.DEVICE,
        example="both keys in the extension's entitlements",
    ),
    Rule(
        id="O4",
        statement="On iOS 26 with the trusted monitor MAP_JIT fails for apps that the platform has not blessed.",
        when=(ON_IOS,),
        effects=(errno("EPERM", "mmap with MAP_JIT", when=ON_IOS),),
        evidence=(obs("jpd002/Play-#1490"),),
        observation=Observation.DEVICE,
        example="mmap(… MAP_JIT …)  → MAP_FAILED, EPERM",
    ),
    Rule(
        id="O5",
        statement="Public WebKit uses the plain toggle, so a host that embeds it cannot adopt jit-write-allowlist.",
        when=(LISTED,),
        effects=(
            crash(
                "pthread_jit_write_protect_np() disallowed by allowlist",
                "WebKit's first write (C9)",
            ),
        ),
        evidence=(src("WebKit FastJITPermissions.h"), unk("the rules of JITCage")),
        observation=Observation.STATIC,
        example="nm -u libJavaScriptCore.dylib | grep pthread_jit_write_protect_np",
    ),
    Rule(
        id="O6",
        statement="V8 keeps the plain toggle on macOS and the BrowserEngineCore toggle on iOS, and discards pages instead of changing their protection.",
        when=(Condition(chips=NATIVE), ON_IOS),
        effects=(none("no use of the allow-list macro turned up"),),
        evidence=(src("V8"), inf("the absence")),
        observation=Observation.STATIC,
        example="V8_HEAP_USE_PTHREAD_JIT_WRITE_PROTECT",
    ),
)

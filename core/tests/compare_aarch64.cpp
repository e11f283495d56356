/* compare_aarch64.cpp - the AArch64 validator's table against two disassemblers, word by word: LLVM's (C++ interface of its
 * machine code layer, which says what each instruction defines) and capstone (which says what it believes to be written).
 *
 * Test only; tools/classify_aarch64.py builds and drives it.
 *   compare_aarch64 VALIDATOR NAMES range FIRST COUNT    COUNT words from FIRST on
 *   compare_aarch64 VALIDATOR NAMES stdin                words from standard input, four bytes each
 * VALIDATOR is decode_batch_aarch64.c as a library.  LLVM sees every word, capstone a sample of each line's.  NAMES has a line
 * for each line of the table: its mnemonics, "|", aliases; nothing for a line that refuses.  The result is one line of numbers
 * for each of them, see main.
 */
#include <capstone/capstone.h>
#include <dlfcn.h>
#include <llvm-c/Target.h>
#include <llvm/MC/MCAsmInfo.h>
#include <llvm/MC/MCContext.h>
#include <llvm/MC/MCDisassembler/MCDisassembler.h>
#include <llvm/MC/MCInst.h>
#include <llvm/MC/MCInstPrinter.h>
#include <llvm/MC/MCInstrInfo.h>
#include <llvm/MC/MCRegisterInfo.h>
#include <llvm/MC/MCSubtargetInfo.h>
#include <llvm/MC/MCTargetOptions.h>
#include <llvm/MC/TargetRegistry.h>
#include <llvm/TargetParser/Triple.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

struct decoded {
    uint32_t writes;
    uint16_t row;
    uint8_t rule, is_unpredictable;
};
using decode_batch = void(const uint32_t *words, uint32_t count, decoded *out);

namespace {

/* Capstone prints each word, which is slow: of each line it sees the first words of a run, and then one of some. */
enum { CAPSTONE_ALL = 1 << 16, CAPSTONE_ONE_OF = 8, REFUSED_ONE_OF = 16 };

bool is_sampled(uint32_t word, uint32_t one_of) { return (word * UINT32_C(2654435761) >> 16) % one_of == 0; } /* spread */

/* What can be wrong with a word of an accepted line, each counted with its first example. */
enum finding {
    LLVM_UNDECODED,
    LLVM_UNPREDICTABLE,
    LLVM_MNEMONIC,
    LLVM_WRITES,
    CAPSTONE_UNDECODED,
    CAPSTONE_MNEMONIC,
    CAPSTONE_WRITES,
    FINDINGS
};

struct line {
    std::vector<std::string> mnemonics, aliases; /* aliases: how some of them are printed */
    uint64_t words = 0, accepted = 0, by_capstone = 0;
    uint64_t counts[FINDINGS] = {};
    uint32_t examples[FINDINGS] = {};
    std::map<unsigned, bool> is_named;        /* LLVM's opcode number: whether its mnemonic is one of ours */
    std::map<std::string, bool> is_alias; /* the same for what capstone prints */
    void note(finding what, uint32_t word) {
        if (counts[what]++ == 0) examples[what] = word;
    }
};

/* "name" stands for itself and for the form for upper halves, "name*" for everything that begins so. */
bool is_named(const std::vector<std::string> &mnemonics, const std::string &found) {
    for (const auto &name : mnemonics) {
        if (name.back() == '*' && found.compare(0, name.size() - 1, name, 0, name.size() - 1) == 0) return true;
        if (found == name || found == name + "2") return true;
    }
    return false;
}

bool is_ours(const line &where, const std::string &found) {
    return is_named(where.mnemonics, found) || is_named(where.aliases, found);
}

class llvm_decoder {
  public:
    llvm_decoder() {
        LLVMInitializeAArch64TargetInfo();
        LLVMInitializeAArch64TargetMC();
        LLVMInitializeAArch64Disassembler();
        const std::string triple = "aarch64-unknown-linux-gnu";
        std::string error;
        const llvm::Target *target = llvm::TargetRegistry::lookupTarget(triple, error);
        if (target == nullptr) std::abort();
        registers.reset(target->createMCRegInfo(triple));
        asm_info.reset(target->createMCAsmInfo(*registers, triple, options));
        subtarget.reset(target->createMCSubtargetInfo(triple, "generic", "+all"));
        instructions.reset(target->createMCInstrInfo());
        context = std::make_unique<llvm::MCContext>(llvm::Triple(triple), asm_info.get(), registers.get(), subtarget.get());
        disassembler.reset(target->createMCDisassembler(*subtarget, *context));
        printer.reset(target->createMCInstPrinter(llvm::Triple(triple), 0, *asm_info, *instructions, *registers));
        for (unsigned reg = 1; reg < registers->getNumRegs(); reg++) general.push_back(bits_of(reg));
    }

    /* Success, SoftFail (unpredictable) or Fail. */
    llvm::MCDisassembler::DecodeStatus decode(uint32_t word) {
        uint64_t size = 0;
        instruction.clear();
        instruction.setOpcode(0); /* else a failing decoder adds operands that the last one's description asks for */
        const llvm::ArrayRef<uint8_t> bytes((const uint8_t *)&word, sizeof word);
        return disassembler->getInstruction(instruction, size, bytes, 0, llvm::nulls());
    }

    unsigned opcode() const { return instruction.getOpcode(); }

    std::string mnemonic() {
        std::string text = printer->getMnemonic(&instruction).first;
        return text.substr(0, text.find_first_of(" \t."));
    }

    /* General registers defined, bit 31 for sp. */
    uint32_t writes() const {
        const llvm::MCInstrDesc &desc = instructions->get(instruction.getOpcode());
        uint32_t result = 0;
        for (unsigned number = 0; number < desc.getNumDefs(); number++)
            if (instruction.getOperand(number).isReg()) result |= bits(instruction.getOperand(number).getReg());
        for (auto reg : desc.implicit_defs()) result |= bits(reg);
        return result;
    }

  private:
    uint32_t bits(unsigned reg) const { return reg == 0 ? 0 : general[reg - 1]; }

    /* Of x3, w3 and the pairs that hold them: bit 3. */
    uint32_t bits_of(unsigned reg) const {
        uint32_t result = 0;
        for (auto part : registers->subregs_inclusive(reg)) {
            const std::string name = registers->getName(part);
            if (name == "SP" || name == "WSP") result |= UINT32_C(1) << 31;
            else if (name == "LR") result |= UINT32_C(1) << 30;
            else if (name == "FP") result |= UINT32_C(1) << 29;
            else if ((name[0] == 'X' || name[0] == 'W') && name.size() <= 3 && name[1] >= '0' && name[1] <= '9')
                result |= UINT32_C(1) << std::atoi(name.c_str() + 1);
        }
        return result;
    }

    llvm::MCTargetOptions options;
    std::unique_ptr<llvm::MCRegisterInfo> registers;
    std::unique_ptr<llvm::MCAsmInfo> asm_info;
    std::unique_ptr<llvm::MCSubtargetInfo> subtarget;
    std::unique_ptr<llvm::MCInstrInfo> instructions;
    std::unique_ptr<llvm::MCContext> context;
    std::unique_ptr<llvm::MCDisassembler> disassembler;
    std::unique_ptr<llvm::MCInstPrinter> printer;
    std::vector<uint32_t> general;
    llvm::MCInst instruction;
};

class capstone_decoder {
  public:
    capstone_decoder() {
        if (cs_open(CS_ARCH_ARM64, CS_MODE_LITTLE_ENDIAN, &handle) != CS_ERR_OK) std::abort();
        (void)cs_option(handle, CS_OPT_DETAIL, CS_OPT_ON);
        insn = cs_malloc(handle);
    }
    ~capstone_decoder() {
        cs_free(insn, 1);
        (void)cs_close(&handle);
    }
    capstone_decoder(const capstone_decoder &) = delete;
    capstone_decoder &operator=(const capstone_decoder &) = delete;

    bool decode(uint32_t word) {
        const uint8_t *at = (const uint8_t *)&word;
        size_t left = 4;
        uint64_t address = 0;
        return cs_disasm_iter(handle, &at, &left, &address, insn);
    }

    std::string mnemonic() const {
        const std::string text = insn->mnemonic;
        return text.substr(0, text.find('.'));
    }

    uint32_t writes() const {
        cs_regs reads, writes;
        uint8_t read_count = 0, write_count = 0;
        uint32_t result = 0;
        (void)cs_regs_access(handle, insn, reads, &read_count, writes, &write_count);
        for (uint8_t number = 0; number < write_count; number++) result |= bit(writes[number]);
        return result;
    }

  private:
    static uint32_t bit(unsigned reg) {
        if (reg == ARM64_REG_SP || reg == ARM64_REG_WSP) return UINT32_C(1) << 31;
        if (reg == ARM64_REG_LR) return UINT32_C(1) << 30;
        if (reg == ARM64_REG_FP) return UINT32_C(1) << 29;
        if (reg >= ARM64_REG_X0 && reg <= ARM64_REG_X28) return UINT32_C(1) << (reg - ARM64_REG_X0);
        if (reg >= ARM64_REG_W0 && reg <= ARM64_REG_W30) return UINT32_C(1) << (reg - ARM64_REG_W0);
        return 0;
    }
    csh handle = 0;
    cs_insn *insn = nullptr;
};

struct comparison {
    std::vector<line> lines;
    llvm_decoder llvm_side;
    capstone_decoder capstone_side;
    std::map<std::string, uint64_t> refused; /* rule and LLVM's mnemonic: words that LLVM decodes and we refuse, sampled */
    std::map<unsigned, uint64_t> rules;
    uint64_t unpredictable = 0, unpredictable_only_here = 0, refused_sampled = 0;
    uint32_t unpredictable_example = 0;

    void known(line &where, uint32_t word, const decoded &ours) {
        const auto status = llvm_side.decode(word);
        if (status == llvm::MCDisassembler::Fail) {
            where.note(LLVM_UNDECODED, word);
        } else {
            if (status == llvm::MCDisassembler::SoftFail) where.note(LLVM_UNPREDICTABLE, word);
            auto found = where.is_named.find(llvm_side.opcode());
            if (found == where.is_named.end())
                found = where.is_named.emplace(llvm_side.opcode(), is_ours(where, llvm_side.mnemonic())).first;
            if (!found->second) where.note(LLVM_MNEMONIC, word);
            if (llvm_side.writes() != ours.writes) where.note(LLVM_WRITES, word);
        }
        if (where.words > CAPSTONE_ALL && !is_sampled(word, CAPSTONE_ONE_OF)) return;
        where.by_capstone++;
        if (!capstone_side.decode(word)) {
            where.note(CAPSTONE_UNDECODED, word);
        } else {
            const std::string name = capstone_side.mnemonic();
            auto found = where.is_alias.find(name);
            if (found == where.is_alias.end())
                found = where.is_alias.emplace(name, is_ours(where, name)).first;
            if (!found->second) where.note(CAPSTONE_MNEMONIC, word);
            if (capstone_side.writes() != ours.writes) where.note(CAPSTONE_WRITES, word);
        }
    }

    void one(uint32_t word, const decoded &ours) {
        rules[ours.rule]++;
        if (ours.row == 0 || lines[ours.row - 1u].mnemonics.empty()) {
            unknown(word, ours);
            return;
        }
        line &where = lines[ours.row - 1u];
        where.words++;
        if (ours.is_unpredictable) {
            unpredictable++;
            if (llvm_side.decode(word) == llvm::MCDisassembler::Success) {
                if (unpredictable_only_here++ == 0) unpredictable_example = word;
            }
            return;
        }
        if (ours.rule == 0) where.accepted++;
        known(where, word, ours);
    }

    void unknown(uint32_t word, const decoded &ours) {
        if (ours.row != 0) lines[ours.row - 1u].words++;
        if (!is_sampled(word, REFUSED_ONE_OF)) return;
        refused_sampled++;
        if (llvm_side.decode(word) == llvm::MCDisassembler::Success)
            refused[std::to_string(ours.rule) + " " + llvm_side.mnemonic()]++;
    }
};

void run(comparison &all, decode_batch *decode, const std::vector<uint32_t> &words) {
    std::vector<decoded> ours(words.size());
    decode(words.data(), (uint32_t)words.size(), ours.data());
    for (size_t index = 0; index < words.size(); index++) all.one(words[index], ours[index]);
}

} // namespace

int main(int count, char **arguments) {
    enum { BATCH = 1 << 16 };
    if (count < 4) return 2;
    void *validator = dlopen(arguments[1], RTLD_NOW);
    decode_batch *decode = validator ? (decode_batch *)dlsym(validator, "decode_batch_aarch64") : nullptr;
    if (decode == nullptr) return 2;
    comparison all;
    std::ifstream names(arguments[2]);
    for (std::string text; std::getline(names, text);) {
        line next;
        std::istringstream parts(text);
        bool is_alias = false;
        for (std::string name; parts >> name; is_alias = is_alias || name == "|")
            if (name != "|") (is_alias ? next.aliases : next.mnemonics).push_back(name);
        all.lines.push_back(next);
    }
    std::vector<uint32_t> words(BATCH);
    if (std::strcmp(arguments[3], "range") == 0 && count == 6) {
        uint64_t word = std::strtoull(arguments[4], nullptr, 0);
        const uint64_t end = word + std::strtoull(arguments[5], nullptr, 0);
        while (word < end) {
            words.resize(end - word < BATCH ? (size_t)(end - word) : (size_t)BATCH);
            for (auto &each : words) each = (uint32_t)word++;
            run(all, decode, words);
        }
    } else {
        while (const size_t taken = std::fread(words.data(), 4, BATCH, stdin)) {
            words.resize(taken);
            run(all, decode, words);
            words.resize(BATCH);
        }
    }
    for (const auto &each : all.lines) {
        std::printf("line %llu %llu %llu", (unsigned long long)each.words, (unsigned long long)each.accepted,
                    (unsigned long long)each.by_capstone);
        for (unsigned what = 0; what < FINDINGS; what++)
            std::printf(" %llu:%08x", (unsigned long long)each.counts[what], each.examples[what]);
        std::printf("\n");
    }
    std::printf("unpredictable %llu %llu:%08x\n", (unsigned long long)all.unpredictable,
                (unsigned long long)all.unpredictable_only_here, all.unpredictable_example);
    for (const auto &each : all.rules) std::printf("rule %u %llu\n", each.first, (unsigned long long)each.second);
    std::printf("sampled %llu\n", (unsigned long long)all.refused_sampled);
    for (const auto &each : all.refused) std::printf("refused %s %llu\n", each.first.c_str(), (unsigned long long)each.second);
    return 0;
}

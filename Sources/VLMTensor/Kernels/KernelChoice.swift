import CVLMKernels
import CVLMPeak
import VLMFoundation

/// Which of a machine's sets of kernels is the fastest.
///
/// A set has what the one below it has, and kernels of its own for some operations. Mostly those are
/// faster. Where that depends on the processor, the choice is made for those operations: by who made it, unless
/// a short measurement of the instructions clearly says otherwise.
package struct KernelChoice: Sendable, Equatable {
  /// A set whose own kernels are slower than those it replaces on some processors.
  package struct Rule: Sendable, Equatable {
    let upper: String
    let lower: String
    /// What the upper set has kernels of its own for.
    let operation: String
    /// The instructions that the operation spends its time in, with either set.
    let instructions: (upper: Instructions, lower: Instructions)
    /// Makers on whose processors the upper set is slower, as far as we have seen.
    let slowOn: [Vendor]

    package static func == (a: Rule, b: Rule) -> Bool { a.upper == b.upper && a.lower == b.lower }
  }

  /// The best loop of one kind that a set of kernels has.
  struct Instructions: Sendable {
    let set: vlm_isa
    let kind: vlm_peak_kind
  }

  /// Who made a processor.
  package enum Vendor: Sendable, Equatable {
    case intel, amd, other

    static var ofThisMachine: Vendor {
      switch vlm_processor_vendor() {
      case VLM_VENDOR_INTEL: .intel
      case VLM_VENDOR_AMD: .amd
      default: .other
      }
    }
  }

  /// What was decided by a rule.
  package struct Decision: Sendable, Equatable, CustomStringConvertible {
    package let operation: String
    package let chosen: String
    package let other: String
    /// Operations of the upper set's instructions in the time of one of the lower's; nil where nobody
    /// measured.
    package let ratio: Double?

    package var description: String {
      "\(operation): \(chosen), not \(other)"
        + (ratio.map { ": the instructions of the higher do \(decimal($0, 2)) times as much" } ?? "")
    }
  }

  /// The name of the set.
  package let name: String
  /// Why it is this one, where another could run.
  package let decisions: [Decision]

  /// Measured ratios that say by themselves whether the upper set pays. Between them the processor's
  /// maker decides: attention, say, is not products alone.
  package static let slower = 0.9
  package static let faster = 1.25

  /// `vdpbf16ps` multiplies twice as many numbers a second as the FMA of f32 on AMD, half as many on
  /// Intel. `usmmla` does the work of two `sdot`, at half their rate on some small cores.
  package static let rules = [
    Rule(
      upper: "avx512bf16", lower: "avx512vnni", operation: "attention over bf16",
      instructions: (
        Instructions(set: VLM_ISA_AVX512BF16, kind: VLM_PEAK_BF16),
        Instructions(set: VLM_ISA_AVX512VNNI, kind: VLM_PEAK_F32)
      ), slowOn: [.intel]),
    Rule(
      upper: "neon-i8mm", lower: "neon-dotprod", operation: "integer products",
      instructions: (
        Instructions(set: VLM_ISA_NEON_I8MM, kind: VLM_PEAK_INT8),
        Instructions(set: VLM_ISA_NEON_DOTPROD, kind: VLM_PEAK_INT8)
      ), slowOn: []),
  ]

  /// - Parameters:
  ///   - sets: names of those that can run, slowest first, as `KernelSet.all` has them.
  ///   - measure: the ratio of a rule's instructions; called only where the choice depends on it.
  package init(sets: [String], vendor: Vendor, measure: (Rule) -> Double?) {
    var best = sets.last ?? "scalar"
    var decisions: [Decision] = []
    while let rule = Self.rules.first(where: { $0.upper == best }), sets.contains(rule.lower) {
      let ratio = measure(rule)
      let pays = Self.pays(rule, vendor, ratio)
      decisions.append(
        Decision(
          operation: rule.operation, chosen: pays ? rule.upper : rule.lower,
          other: pays ? rule.lower : rule.upper, ratio: ratio))
      if pays { break }
      best = rule.lower
    }
    name = best
    self.decisions = decisions
  }

  private static func pays(_ rule: Rule, _ vendor: Vendor, _ ratio: Double?) -> Bool {
    if let ratio, ratio < slower { return false }
    if let ratio, ratio > faster { return true }
    return !rule.slowOn.contains(vendor)
  }

  /// The choice for this machine. Where it depends on a measurement, that takes about a millisecond,
  /// once a process.
  package static let ofThisMachine = KernelChoice(
    sets: KernelSet.all.map(\.name), vendor: .ofThisMachine, measure: measured)

  private static func measured(_ rule: Rule) -> Double? {
    var count = 0
    guard let loops = vlm_peak_loops(&count) else { return nil }
    func loop(_ instructions: Instructions) -> UnsafePointer<vlm_peak_loop>? {
      (0..<count).map { loops + $0 }.first {
        $0.pointee.isa == instructions.set && $0.pointee.kind == instructions.kind
      }
    }
    guard let upper = loop(rule.instructions.upper), let lower = loop(rule.instructions.lower)
    else {
      return nil
    }
    let ratio = vlm_peak_ratio(upper, lower)
    return ratio > 0 ? ratio : nil
  }
}

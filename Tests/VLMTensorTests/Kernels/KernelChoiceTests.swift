import Testing
import VLMTensor

@Suite("The choice of kernels")
struct KernelChoiceTests {
  private static let intel = ["scalar", "sse41", "avx2", "avx512vnni", "avx512bf16"]

  private func choice(
    _ sets: [String], _ vendor: KernelChoice.Vendor, _ ratio: Double?
  ) -> KernelChoice {
    KernelChoice(sets: sets, vendor: vendor) { _ in ratio }
  }

  @Test(
    "products of bf16 at half the rate of f32 leave attention to f32, whoever made the processor")
  func slowPairs() {
    for vendor in [KernelChoice.Vendor.intel, .amd, .other] {
      let found = choice(Self.intel, vendor, 0.5)
      #expect(found.name == "avx512vnni")
      #expect(found.decisions.map(\.chosen) == ["avx512vnni"])
      #expect(
        found.decisions.map(\.description) == [
          "attention over bf16: avx512vnni, not avx512bf16: the instructions of the higher do 0.50 "
            + "times as much"
        ])
    }
  }

  @Test("products of bf16 at twice the rate are used, whoever made the processor")
  func fastPairs() {
    for vendor in [KernelChoice.Vendor.intel, .amd, .other] {
      #expect(choice(Self.intel, vendor, 1.8).name == "avx512bf16")
    }
  }

  @Test("a measurement that says little, or none, leaves the choice to who made the processor")
  func unclear() {
    for ratio in [nil, 0.91, 1.0, 1.24] as [Double?] {
      #expect(choice(Self.intel, .intel, ratio).name == "avx512vnni")
      #expect(choice(Self.intel, .amd, ratio).name == "avx512bf16")
      #expect(choice(Self.intel, .other, ratio).name == "avx512bf16")
    }
  }

  @Test("matrix products of ARM that are no faster than dot products are not used")
  func matrixProducts() {
    let sets = ["scalar", "neon", "neon-dotprod", "neon-i8mm"]
    #expect(choice(sets, .other, 2).name == "neon-i8mm")
    #expect(choice(sets, .other, 1).name == "neon-i8mm")
    #expect(choice(sets, .other, 0.6).name == "neon-dotprod")
  }

  @Test("where nothing depends on the processor nothing is measured, and the highest set is taken")
  func certain() {
    for sets in [
      ["scalar"], ["scalar", "sse41", "avx2"], Self.intel + ["amx"],
      ["scalar", "sse41", "avx2", "avx512bf16"],
    ] {
      var measured = 0
      let found = KernelChoice(sets: sets, vendor: .intel) { _ in
        measured += 1
        return 0.1
      }
      #expect(found.name == sets.last)
      #expect(found.decisions.isEmpty && measured == 0)
    }
  }

  @Test("the choice for this machine is a set that it runs, and the one in use by default")
  func here() {
    let choice = KernelChoice.ofThisMachine
    #expect(KernelSet.all.map(\.name).contains(choice.name))
    #expect(KernelSet.best.name == choice.name)
    for decision in choice.decisions { #expect(decision.ratio.map { $0 > 0 } ?? true) }
  }
}

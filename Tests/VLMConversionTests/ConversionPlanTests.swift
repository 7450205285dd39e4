import Testing
import VLMFoundation
import VLMTensor

@testable import VLMConversion

/// Which scheme each tensor gets, and why.
struct ConversionPlanTests {
  private func spec(_ path: String, _ shape: [Int], _ role: TensorRole) -> TensorSpec {
    TensorSpec(path: path, shape: shape, role: role)
  }

  private func chosen(
    _ spec: TensorSpec, _ scheme: Scheme, _ overrides: [QuantizationPolicy.Override] = []
  ) -> Scheme {
    QuantizationPolicy(scheme: scheme, overrides: overrides).scheme(for: spec).0
  }

  @Test("vectors, depthwise filters and plain convolutions stay whole", arguments: Scheme.allCases)
  func whole(_ scheme: Scheme) {
    for role in [TensorRole.vector, .depthwise, .convolution] {
      let spec = spec("w", [64, 64], role)
      let everything = QuantizationPolicy.Override(pattern: "*", scheme: .q4)
      #expect(chosen(spec, scheme) == .f32)
      #expect(chosen(spec, scheme, [everything]) == .f32)
    }
  }

  @Test("every scheme of 8 bits or more is taken as it was asked for", arguments: Scheme.allCases)
  func asAsked(_ scheme: Scheme) {
    for role in [TensorRole.matrix, .head, .embedding, .patchConvolution] {
      let (found, reason) = QuantizationPolicy(scheme: scheme).scheme(
        for: spec("w", [99, 77], role))
      if scheme.codeBits < 8, role != .matrix {
        #expect(found == .q8 && reason?.description.isEmpty == false)
      } else {
        #expect(found == scheme && reason == nil)
      }
    }
  }

  /// Role, outputs and inputs, and whether few bits are kept.
  static let matrices: [(role: TensorRole, shape: [Int], keeps: Bool)] = [
    (.matrix, [64, 63], false), (.matrix, [64, 64], true), (.matrix, [1, 4096], true),
    (.matrix, [512, 1024], true), (.matrix, [576, 4096], true),
    (.valueProjection, [512, 1024], false), (.valueProjection, [513, 1024], true),
    (.valueProjection, [16, 63], false),
    (.downProjection, [1023, 4096], false), (.downProjection, [1024, 4096], true),
    (.downProjection, [1024, 63], false),
  ]

  @Test("at 3 to 6 bits a matrix that would lose too much takes 8", arguments: matrices)
  func fewBits(_ role: TensorRole, _ shape: [Int], _ keeps: Bool) {
    for scheme in [Scheme.q3, .q4, .q5, .q6] {
      #expect(chosen(spec("a.weight", shape, role), scheme) == (keeps ? scheme : .q8))
    }
  }

  @Test("a name decides nothing")
  func names() {
    let names = ["l.0.self_attn.v_proj.weight", "l.0.mlp.down_proj.weight", "lm_head.weight"]
    for name in names {
      #expect(chosen(spec(name, [512, 1024], .matrix), .q4) == .q4)
    }
  }

  @Test("the last pattern that matches decides, and is the reason")
  func overrides() {
    let head = spec("head.fc.weight", [10, 64], .head)
    let overrides = [
      QuantizationPolicy.Override(pattern: "head.*", scheme: .f16),
      .init(pattern: "*.weight", scheme: .bf16), .init(pattern: "stem.*", scheme: .f32),
    ]
    let (scheme, reason) = QuantizationPolicy(scheme: .q4, overrides: overrides).scheme(for: head)
    #expect(scheme == .bf16)
    #expect(reason == Note(.tensorSchemes, are: "*.weight=bf16"))
  }

  static let patterns: [(pattern: String, name: String, matches: Bool)] = [
    ("", "", true), ("", "a", false), ("*", "", true), ("*", "a.b", true), ("**", "a", true),
    ("a*", "ab", true), ("a*", "ba", false), ("*a", "ba", true), ("*a", "ab", false),
    ("a*c", "abcbc", true), ("a*b*c", "a.b.d", false), ("*.0.*", "l.0.w", true),
    ("*.0.*", "l.10.w", false), ("l.?.w", "l.0.w", false), ("é*", "éa", true),
    ("*aaab", "aaaaaaaaab", true),
  ]

  @Test("a star stands for any run of characters, nothing else for another", arguments: patterns)
  func globs(_ pattern: String, _ name: String, _ matches: Bool) {
    #expect(QuantizationPolicy.Override(pattern: pattern, scheme: .q4).matches(name) == matches)
  }

  @Test("a plan is sorted by the bytes of names, its sizes are sums")
  func plan() {
    let manifest = [
      spec("é.weight", [16, 32], .matrix), spec("b.bias", [16], .vector),
      spec("b.10.weight", [16, 32], .matrix), spec("b.9.weight", [15, 1, 7, 7], .depthwise),
    ]
    let plan = ConversionPlan(manifest: manifest, policy: QuantizationPolicy(scheme: .f16))
    #expect(
      plan.items.map(\.spec.path) == ["b.10.weight", "b.9.weight", "b.bias", "é.weight"])
    #expect(
      plan.items.map(\.format) == [
        TensorFormat(scheme: .f16, layout: .panels),
        TensorFormat(scheme: .f32, order: .tapsFirst), TensorFormat(scheme: .f32),
        TensorFormat(scheme: .f16, layout: .panels),
      ])
    #expect(plan.parameterCount == 2 * 16 * 32 + 16 + 15 * 49)
    #expect(plan.byteCount == 2 * 16 * 32 * 2 + 16 * 4 + 15 * 49 * 4)
  }

  @Test("f32 matrices lie row by row, all others in panels; windows lie channels last")
  func layouts() {
    for scheme in Scheme.allCases {
      let layout: TensorLayout = scheme == .f32 ? .rowMajor : .panels
      #expect(TensorRole.matrix.format(scheme: scheme).layout == layout)
      let patch = TensorRole.patchConvolution.format(scheme: scheme)
      #expect(patch == TensorFormat(scheme: scheme, layout: layout, order: .channelsLast))
      #expect(TensorRole.vector.format(scheme: scheme) == TensorFormat(scheme: scheme))
    }
  }
}

import Testing
import VLMBench
import VLMTestSupport

@Suite("Names of cases")
struct CaseNameTests {
  @Test("every default case reads back from its own name")
  func defaultsRoundTrip() throws {
    let names = DefaultCases.names(isa: "avx2", threads: 3)
    #expect(!names.isEmpty)
    for name in names {
      #expect(try CaseName(parsing: "\(name)", isa: "other", threads: 9) == name)
    }
  }

  @Test("no two default cases have the same name")
  func defaultsAreDistinct() {
    let names = DefaultCases.names(isa: "scalar", threads: 1).map(\.description)
    #expect(Set(names).count == names.count)
  }

  @Test(
    "names are written as the documentation has them",
    arguments: [
      "gemm/q8/M4096.K192.N768/avx512vnni/t2", "gemv/q4/K4096.N4096/amx/t1",
      "depthwise7/f32/96x64x768/avx2/t2", "layer_norm/f32/R4096.C192/neon/t8",
      "gelu/f32/R10.C3/scalar/t1", "quantize/u8/R1.C1/scalar/t1", "rms_norm/f32/R7.C576/scalar/t1",
      "attention/f16/R1.K2048.H9.G3.D64/scalar/t1",
      "tower/convnext_large/q8/768/avx512vnni/t2", "speculation/smollm2/q4/R8.K512/avx2/t2",
      "language/smollm2/q4/R512.K512/avx2/t2", "answers/smollm2/q4/A8.K256/avx2/t2",
    ])
  func roundTrip(_ text: String) throws {
    #expect(try CaseName(parsing: text, isa: "other", threads: 9).description == text)
  }

  @Test("kernels and threads that a name leaves off are the ones given")
  func defaultsAreFilledIn() throws {
    let short = try CaseName(parsing: "tower/convnext_tiny/q4/224", isa: "avx2", threads: 2)
    #expect("\(short)" == "tower/convnext_tiny/q4/224/avx2/t2")
    let withISA = try CaseName(parsing: "gemv/q8/K1.N2/scalar", isa: "avx2", threads: 2)
    #expect("\(withISA)" == "gemv/q8/K1.N2/scalar/t2")
  }

  @Test(
    "a wrong name is refused, saying which part is wrong",
    arguments: [
      ("", "parts"), ("gemm/q8", "parts"), ("gemm/q8/M1.K2.N3/avx2/t1/x", "parts"),
      ("sort/f32/R1.C1", "operation"), ("depthwise8/f32/1x1x1", "operation"),
      ("gemm/q7/M1.K2.N3", "scheme"), ("gemm/q8/M1.N2.K3", "shape"), ("gemm/q8/M0.K2.N3", "shape"),
      ("gemm/q8/M1.K2", "shape"), ("gelu/f32/R99999999999999999999.C1", "shape"),
      ("gelu/f32/R1048576.C1048576", "shape"), ("gemv/q8/K65537.N1", "inputs"),
      ("tower/convnext_tiny/q8/-1", "shape"), ("gelu/f32/R1.C1/avx2/2", "threads"),
      ("gelu/f32/R1.C1/avx2/t0", "threads"), ("speculation/smollm2/q4/R9.K512", "rows"),
      ("speculation/smollm2/q4/R8.K7", "rows"),
    ])
  func wrongNames(_ text: String, _ part: String) {
    let error = thrownError(BenchError.self) {
      try CaseName(parsing: text, isa: "avx2", threads: 1)
    }
    guard case .caseName(let name, let found, _, _) = error?.problem else {
      Issue.record("another problem: \(String(describing: error))")
      return
    }
    #expect(name == text)
    #expect(found == part)
    #expect(error?.exitStatus == .usage)
  }

  @Test(
    "a glob matches the whole name",
    arguments: [
      ("*", "gemm/q8/M1", true), ("gemm/*", "gemm/q8/M1", true), ("gemm", "gemm/q8", false),
      ("*/q8/*", "tower/x/q8/224", true), ("*/q8/*", "tower/x/q4/224", false),
      ("g?m?/*", "gemv/q4", true), ("", "", true), ("*a*b*", "xxaxxbxx", true),
      ("*a*b", "xxaxxbxx", false),
    ])
  func globs(_ pattern: String, _ text: String, _ expected: Bool) {
    #expect(Glob(pattern).matches(text) == expected)
  }
}

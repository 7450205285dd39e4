import Foundation
import Testing
import VLMTestSupport

/// `VLM_FORCE_ISA`, where it must not show in what is written.
struct ForcedKernelsTests {
  @Test(
    "a conversion writes the same bytes on scalar kernels", arguments: ["--q4", "--q8", "--f16"])
  func conversion(scheme: String) throws {
    let folder = try TemporaryFolder()
    func convert(_ name: String, _ environment: [String: String]) throws -> Data {
      let outcome = try CommandRunner.run(
        "vlm-convert",
        [TestFiles.fixture("stories260K"), folder.path(name), scheme, "-q"],
        environment: environment)
      try #require(outcome.status == 0, "\(outcome.errors)")
      return try Data(contentsOf: URL(fileURLWithPath: folder.path(name)))
    }
    #expect(try convert("a.vlmz", ["VLM_FORCE_ISA": "scalar"]) == convert("b.vlmz", [:]))
  }

  @Test("a conversion refuses an unknown instruction set before it writes anything")
  func unknown() throws {
    let folder = try TemporaryFolder()
    let outcome = try CommandRunner.run(
      "vlm-convert", [TestFiles.fixture("stories260K"), folder.path("a.vlmz"), "-q"],
      environment: ["VLM_FORCE_ISA": "avx1024"])
    #expect(outcome.status == 69)
    #expect(outcome.errorLine.contains("avx1024"))
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.url.path).isEmpty)
  }
}

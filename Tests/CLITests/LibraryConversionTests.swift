import Foundation
import Testing
import VLMTestSupport
import VLMZ
import VLMZConverter

/// The library and the command are two doors of one conversion.
@Suite("Conversions by the library")
struct LibraryConversionTests {
  @Test("the library writes the bytes that vlm-convert writes", arguments: ["q8", "q4", "f16"])
  func sameBytes(_ scheme: String) throws {
    let folder = try TemporaryFolder()
    let input = TestFiles.fixture("convnext-cifar10")
    let (command, library) = (folder.path("command.vlmz"), folder.path("library.vlmz"))
    let outcome = try CommandRunner.convert(
      input, command, "--\(scheme)", "--tensor-type", "*stem*=f32", "--json")
    try #require(outcome.status == 0, "\(outcome.errors)")
    var options = Converter.Options(scheme: try WeightScheme(named: scheme))
    options.tensorSchemes = [.init("*stem*", .f32)]
    let report = try Converter(opening: input, options: options).convert(to: library)
    let bytes = try Data(contentsOf: URL(fileURLWithPath: library))
    #expect(try Data(contentsOf: URL(fileURLWithPath: command)) == bytes)
    #expect(report.fileByteCount == bytes.count)
    // The command's is the same object, in lines.
    let compact = outcome.output.filter { !$0.isWhitespace }
    #expect(compact == report.json.filter { !$0.isWhitespace })
  }
}

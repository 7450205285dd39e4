import Foundation
import Testing
import VLMCheckpoint
import VLMContainer
import VLMConversion
import VLMFoundation
import VLMImages
import VLMModels
import VLMTensor
import VLMTestSupport
import VLMText
import VLMZ

#if canImport(Glibc)
  import Glibc
#endif

/// A file of a model that is written to while it is used: an error, and no numbers of it.
@Suite("Models that change in place")
struct ChangedModelTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private func convert(_ fixture: String, _ name: String = "m.vlmz") throws -> String {
    let conversion = try Conversion(
      source: try SourceModel.open(path: TestFiles.fixture(fixture)),
      policy: QuantizationPolicy(scheme: .f32), ignoreUnexpected: false,
      pool: WorkerPool(threadCount: 2))
    _ = try conversion.run(to: folder.path(name), overwrite: false) { _, _, _ in }
    return folder.path(name)
  }

  /// Other small numbers for some of the weights, in place.
  private func change(_ path: String) {
    let values = (0..<16_384).map { Float($0 % 100) / 500 }
    let descriptor = open(path, O_WRONLY)
    values.withUnsafeBytes { _ = pwrite(descriptor, $0.baseAddress, $0.count, 4096) }
    close(descriptor)
  }

  private func changed(_ path: String) -> String { "\(path): changed while it was being read" }

  /// What an error says; nil where none is thrown.
  private func message(_ body: () throws -> Void) -> String? {
    do { try body() } catch let error as any ReportableError {
      return error.exitStatus == .ioError ? error.description : "\(error.exitStatus)"
    } catch { return "\(error)" }
    return nil
  }

  @Test("between two pictures")
  func pictures() throws {
    let path = try convert("convnext-cifar10")
    let session = try Session(path: path, kernels: try KernelSet.selected(), threads: 2)
    let picture = try ImageDecoder.decode(
      path: TestFiles.root.appendingPathComponent("docs/images/horse.png").path,
      color: session.preprocessing.color)
    let pixels = try session.preprocessing.apply(picture, name: "horse")
    #expect(try session.run([pixels]).count == 1)
    change(path)
    #expect(message { _ = try session.run([pixels]) } == changed(path))
  }

  @Test("between two questions, and in the middle of an answer, of which no more is shown")
  func answers() throws {
    let path = try convert("stories260K")
    let session = try LoadedModel(
      path: path, kernels: try KernelSet.selected(), threads: 2, contextLength: 128)
    let options = GenerationOptions(maximumTokens: 20)
    var shown = 0
    #expect(try session.generate("Once upon", options) { _ in shown += 1 }.tokens.count == 20)
    #expect(shown > 10)
    shown = 0
    let error = message {
      _ = try session.generate("Once upon a time", options) { _ in
        shown += 1
        if shown == 2 { change(path) }
      }
    }
    #expect(error == changed(path))
    #expect(shown == 2)
    #expect(message { _ = try session.generate("Once", options) } == changed(path))
    #expect(message { try session.score([1, 2, 3]) { _, _ in } } == changed(path))
    #expect(
      message { try session.inspect([1, 2, 3], images: []) { _, _, _ in } } == changed(path))
  }

  @Test("between two pictures of a model that answers")
  func visualTokens() throws {
    let path = try convert("upstream/llava")
    let session = try LoadedModel(
      path: path, kernels: try KernelSet.selected(), threads: 2, contextLength: 64)
    let picture = try ImageDecoder.decode(
      path: TestFiles.root.appendingPathComponent("docs/images/horse.png").path,
      policy: .seen(background: .white), limits: ImageLimits())
    let pixels = try session.pixels(of: picture, name: "horse")
    #expect(try session.encode(pixels).count > 0)
    change(path)
    #expect(message { _ = try session.encode(pixels) } == changed(path))
  }

  @Test("while it is compared, listed or extracted")
  func tools() throws {
    let pool = WorkerPool(threadCount: 2)
    let first = try convert("convnext-cifar10", "a.vlmz")
    let second = try convert("convnext-cifar10", "b.vlmz")
    let difference = message {
      _ = try ModelDifference(first, second, options: .init(), pool: pool) { _, _ in change(second)
      }
    }
    #expect(difference == changed(second))
    let third = try convert("convnext-cifar10", "c.vlmz")
    let extraction = message {
      _ = try Extraction(path: third).write(
        to: folder.path("x.safetensors"), overwrite: false, form: .values(.f32), ownNames: true
      ) { _, _ in change(third) }
    }
    #expect(extraction == changed(third))
    #expect(try folder.names == ["a.vlmz", "b.vlmz", "c.vlmz"])
  }
}

import Foundation
import Testing
import VLMContainer
import VLMFoundation
import VLMTensor

@Suite("What is said about files that are no good")
struct MessageTests {
  let sample: Sample
  init() throws { sample = try Sample() }

  private func message(_ bytes: [UInt8]) throws -> String {
    let path = try sample.folder.write("m.vlmz", bytes)
    let error = thrown { try Container.open(path: path) }
    return error?.description.replacingOccurrences(of: path, with: "m.vlmz") ?? ""
  }

  private func message(golden name: String) throws -> String {
    let path = Golden.formats.appendingPathComponent("reject/\(name).vlmz").path
    return try message(Golden.bytes(path))
  }

  @Test(
    "V02 other kinds of files are called by their names",
    arguments: [
      ("GGUF\u{3}\0\0\0", "a GGUF file"), ("PK\u{3}\u{4}", "a zip archive (a PyTorch checkpoint?)"),
      ("\u{10}\0\0\0\0\0\0\0{\"a\":{}}", "a safetensors file"), ("{\"a\":1}", "a JSON text"),
      (
        "version https://git-lfs.github.com/spec/v1",
        "a Git LFS pointer; fetch the file itself first: git lfs pull"
      ),
      ("<!DOCTYPE html>", "an HTML page; download it again"),
      (
        String(repeating: "\0", count: 600),
        "zeros, as a download leaves them that has not ended; download it again"
      ),
    ])
  func unused(text: String, kind: String) throws {
    let parts = kind.split(separator: ";", maxSplits: 1).map { String($0) }
    let step = parts.count > 1 ? ";" + parts[1] : ""
    #expect(
      try message(Array(text.utf8))
        == "m.vlmz: is \(parts[0]), expected a .vlmz container\(step) [R02]")
  }

  @Test("V02 images are called by their names")
  func images() throws {
    #expect(try message([0x89, 0x50, 0x4e, 0x47, 13, 10]).contains("is a PNG image"))
    #expect(try message([0xff, 0xd8, 0xff, 0xe0]).contains("is a JPEG image"))
    #expect(try message([0x80, 2, 0x7d]).contains("is a Python pickle"))
  }

  @Test(
    "V02 a transfer in text mode is recognised",
    arguments: ["R02-line-ends-changed", "R02-top-bit-cleared"])
  func mangled(name: String) throws {
    #expect(
      try message(golden: name)
        == "m.vlmz: was changed by a transfer in text mode; copy it again in binary mode [R02]")
  }

  @Test("V03 a newer version says what this build reads and what to do")
  func version() throws {
    #expect(
      try message(golden: "R03-version-4")
        == "m.vlmz: format version 4, this build reads up to 3; "
        + "convert the checkpoint again or update vlm-run [R03]")
    #expect(
      try message(golden: "R03-version-0") == "m.vlmz: format version 0, expected 1 to 3 [R03]")
  }

  @Test(
    "messages name place, what was found and what was expected",
    arguments: [
      (
        "R01-short",
        "holds 100 bytes, expected a header of 128: it is cut short, download it again [R01]"
      ),
      (
        "R08-truncated",
        "header: states a file of 4608 bytes, found 4607: it is cut short, download it again [R08]"
      ),
      (
        "R13-unknown-required",
        "section 3 'kind 11': is required and this build does not know it; update vlm-run [R13]"
      ),
      ("R16-misaligned", "section 2 'config': offset 4356 is not a multiple of 64 [R16]"),
      (
        "R22-declares-1-TB",
        "section 2 'config': raw size 1099511627776, expected 1 to 67108864 [R22]"
      ),
      ("R37-escape", "tensor index entry 0: the name holds a control character [R37]"),
      (
        "R45-short",
        "tensor 'weight': byte count 20, expected 24 for shape [2, 3] as f32 [R45]"
      ),
      ("R46-misaligned", "tensor 'bias': offset 60 is not a multiple of 64 [R46]"),
    ])
  func places(name: String, text: String) throws {
    #expect(try message(golden: name) == "m.vlmz: \(text)")
  }

  @Test("V54 what is no regular file is refused, with its own exit status")
  func irregular() throws {
    func status(_ path: String) -> VLMFoundation.ExitStatus? {
      do throws(ContainerError) { _ = try Container.open(path: path) } catch {
        #expect(error.rule == nil)
        return error.exitStatus
      }
      return nil
    }
    #expect(status(sample.folder.path("none.vlmz")) == .noInput)
    #expect(status(sample.folder.url.path) == .noInput)
    #expect(status("/dev/zero") == .noInput)
    let loop = sample.folder.path("loop")
    try FileManager.default.createSymbolicLink(atPath: loop, withDestinationPath: loop)
    #expect(status(loop) == .noInput)
  }

  @Test("V01 an empty file is refused")
  func empty() throws {
    #expect(
      try message([])
        == "m.vlmz: holds 0 bytes, expected a header of 128: it is cut short, download it again [R01]"
    )
  }
}

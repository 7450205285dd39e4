import Foundation
import Testing
import VLMFoundation
import VLMTestSupport
import VLMZ

/// `Model.Options.trustedKeys`.
@Suite("Models that somebody signed")
struct TrustTests {
  private static let golden = TestFiles.root.appendingPathComponent(
    "formats/golden/accept/A02-two-tensors.vlmz"
  ).path

  private static func fixture(_ name: String) -> String { TestFiles.fixture("signatures/" + name) }

  private func failure(_ path: String, _ keys: [String]?) -> VLMZError? {
    thrownError(VLMZError.self) {
      try Model(opening: path, options: Model.Options(threads: 1, trustedKeys: keys))
    }
  }

  @Test("a file that no trusted key signed gives a code of its own")
  func notTrusted() throws {
    let error = try #require(failure(Self.golden, [Self.fixture("a.pub")]))
    #expect(error.code == .notTrusted)
    #expect(error.message.hasPrefix(Self.golden + ": is not signed"))
    #expect(!error.message.contains("--"))
  }

  @Test("an empty list of keys trusts nobody and is refused")
  func noKeys() {
    #expect(failure(Self.golden, [])?.code == .invalidArgument)
  }

  @Test("a key that cannot be read is no trust")
  func badKey() {
    #expect(failure(Self.golden, ["/no/such/key.pub"])?.code == .notFound)
    #expect(failure(Self.golden, [Self.golden])?.code == .badData)
  }

  @Test("a file that a trusted key signed is opened as any other")
  func trusted() throws {
    let folder = try TemporaryFolder()
    let path = try folder.write(
      "m.vlmz", Array(Data(contentsOf: URL(fileURLWithPath: Self.golden))))
    try folder.write(
      "m.vlmz.minisig",
      Array(Data(contentsOf: URL(fileURLWithPath: Self.fixture("model.vlmz.minisig")))))
    // Signed, but of no architecture: both ways refuse it for that.
    let (with, without) = (failure(path, [Self.fixture("a.pub")]), failure(path, nil))
    #expect(with != nil && with?.code == without?.code && with?.message == without?.message)
    #expect(with?.code != .notTrusted)
  }
}

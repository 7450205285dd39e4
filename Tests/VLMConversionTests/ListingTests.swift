import Foundation
import Testing
import VLMConversion
import VLMFoundation
import VLMTestSupport

/// Listings of real checkpoints, compared with what PyTorch reads from them.
@Suite struct ListingTests {
  /// Every tensor of every file is listed with its dtype, shape and content, and no other.
  @Test("checkpoints of many origins give the digests that PyTorch gives")
  func digests() throws {
    let path = TestFiles.fixture("pytorch/digests.json")
    let json = try JSONValue.parse(Array(Data(contentsOf: URL(fileURLWithPath: path))))
    let files = try #require(json.objectValue)
    #expect(files.members.count == 12)
    for file in files.members {
      let listing = try Listing(path: TestFiles.fixture("pytorch/" + file.key), digests: true)
      #expect(listing.kind == "pytorch")
      let expected = try #require(file.value.objectValue)
      #expect(listing.tensors.count == expected.members.count, "\(file.key)")
      for tensor in listing.tensors {
        let found = JSONValue.array([
          .string(tensor.type), .array(tensor.shape.map { .int($0) }),
          .string(tensor.digest ?? ""),
        ])
        #expect(found == file.value[tensor.name], "\(file.key): \(tensor.name)")
      }
    }
  }
}

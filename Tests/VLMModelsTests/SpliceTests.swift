import Testing
import VLMTensor
import VLMTestSupport

@testable import VLMModels

struct SpliceTests {
  @Test("pictures take the places of their sentinels, in order")
  func order() throws {
    let splice = try Splice(
      [1, 7, -200, 8, -200, -200, 9], sentinel: -200, imageTokens: [4, 2, 3])
    #expect(
      splice.pieces == [
        .text([1, 7]), .image(0, rows: 0..<4), .text([8]), .image(1, rows: 0..<2),
        .image(2, rows: 0..<3),
        .text([9]),
      ])
    #expect(splice.count == 13)
  }

  @Test("text among a picture's rows joins the text around it")
  func runs() throws {
    let splice = try Splice(
      [1, -200, 8, -200], sentinel: -200,
      images: [
        [.text([5, 6]), .rows(0..<3), .text([7]), .rows(3..<3), .text([4]), .rows(3..<5)], [],
      ])
    #expect(
      splice.pieces == [
        .text([1, 5, 6]), .image(0, rows: 0..<3), .text([7, 4]), .image(0, rows: 3..<5),
        .text([8]),
      ])
    #expect(splice.count == 11)
  }

  @Test("text alone is one piece")
  func textOnly() throws {
    let splice = try Splice([1, 2, 3], sentinel: -200, imageTokens: [])
    #expect(splice.pieces == [.text([1, 2, 3])])
    #expect(try Splice([], sentinel: -200, imageTokens: []).pieces.isEmpty)
  }

  @Test("what a context holds already is left out, to the position")
  func rest() throws {
    let splice = try Splice([1, 7, -200, 8, -200], sentinel: -200, imageTokens: [4, 2])
    #expect(splice.pieces(from: 0) == splice.pieces)
    #expect(
      splice.pieces(from: 1)
        == [.text([7]), .image(0, rows: 0..<4), .text([8]), .image(1, rows: 0..<2)])
    #expect(
      splice.pieces(from: 4) == [.image(0, rows: 2..<4), .text([8]), .image(1, rows: 0..<2)])
    #expect(splice.pieces(from: 8) == [.image(1, rows: 1..<2)])
    #expect(splice.pieces(from: 9).isEmpty)
  }

  @Test("too few and too many pictures are refused, naming both numbers")
  func counts() {
    for pictures in [[], [4, 4]] {
      let error = thrownError(ModelError.self) {
        try Splice([1, -200, 2], sentinel: -200, imageTokens: pictures)
      }
      #expect(
        error?.description == "prompt: \(pictures.count) images, "
          + "expected 1, one for each place in the prompt")
    }
  }
}

import Testing
import VLMImages
import VLMTestSupport
import VLMText
import VLMZ

struct PrincipalComponentTests {
  @Test("rows along one line are ordered along the first component, and the others are plain")
  func line() {
    let direction: [Float] = [1, 2, -0.5, 3]
    var values: [Float] = []
    for row in 0..<101 { values += direction.map { $0 * Float(row) + 7 } }
    let scores = PrincipalComponents.project(values, rows: 101, columns: 4)
    let first = stride(from: 0, to: scores.count, by: 3).map { scores[$0] }
    #expect(first == first.sorted())
    #expect(first[50] > 0.49 && first[50] < 0.51)
    #expect(first[0] == 0 && first[100] == 1)
  }

  @Test("the first two components of a plane are its two directions")
  func plane() {
    var values: [Float] = []
    for y in 0..<20 {
      for x in 0..<20 { values += [Float(x) * 5, Float(y), 0, 0, 0] }
    }
    let scores = PrincipalComponents.project(values, rows: 400, columns: 5)
    // The wide direction first, then the narrow one; the third has no variance.
    for y in [3, 10, 16] {
      for x in [3, 10, 16] {
        let row = (y * 20 + x) * 3
        #expect(abs(scores[row] - Float(x) / 19) < 0.02)
        #expect(abs(scores[row + 1] - Float(y) / 19) < 0.02)
      }
    }
  }

  @Test("equal rows, one row and values that are not finite give numbers from 0 to 1")
  func degenerate() {
    let inputs: [(rows: Int, values: [Float])] = [
      (1, [1, 2, 3]), (4, [Float](repeating: 5, count: 12)),
      (2, [.nan, .infinity, 0, 1, -.infinity, 2]),
    ]
    for input in inputs {
      let scores = PrincipalComponents.project(input.values, rows: input.rows, columns: 3)
      #expect(scores.count == input.rows * 3)
      #expect(scores.allSatisfy { $0 >= 0 && $0 <= 1 })
    }
  }
}

struct ExplanationTests {
  private func ramp(_ count: Int) -> [Float] { (0..<count).map { Float($0 % 17) - 8 } }

  @Test("without an input there is nothing to draw")
  func nothing() {
    var explanation = Explanation(normalization: .clip)
    explanation.see(.visualTokens, [1, 4, 8], ramp(32))
    #expect(explanation.draw() == nil)
  }

  @Test("the input is shown as it was before it was normalised")
  func input() throws {
    var explanation = Explanation(normalization: .imageNet)
    let colours: [Double] = [200, 100, 50]
    var values: [Float] = []
    for channel in 0..<3 {
      let mean = Preprocessing.Normalization.imageNet.mean[channel]
      let deviation = Preprocessing.Normalization.imageNet.deviation[channel]
      let value = (colours[channel] / 255 - mean) / deviation
      values += [Float](repeating: Float(value), count: 32 * 32)
    }
    explanation.see(.input, [1, 3, 32, 32], values)
    let picture = try #require(explanation.draw())
    #expect(picture[150, 150] == .init(200, 100, 50))
  }

  @Test("tokens get the grid that has the input's proportions, with and without a class token")
  func grid() throws {
    var wide = Explanation(normalization: .clip)
    wide.see(.input, [1, 3, 64, 128], ramp(3 * 64 * 128))
    let inputOnly = try #require(wide.draw())
    wide.see(.features, [1, 18, 4], ramp(72))
    let plain = try #require(wide.draw())
    #expect(plain.width > inputOnly.width)
    var withClass = Explanation(normalization: .clip)
    withClass.see(.input, [1, 3, 64, 128], ramp(3 * 64 * 128))
    withClass.see(.features, [1, 19, 4], ramp(4) + ramp(72))
    #expect(try #require(withClass.draw()).pixels == plain.pixels)
  }

  @Test("gates are bars, as many as there are adapters")
  func gates() throws {
    var explanation = Explanation(normalization: .clip)
    explanation.see(.input, [1, 3, 32, 32], ramp(3 * 32 * 32))
    let without = try #require(explanation.draw())
    explanation.see(.gate(0), [1, 1, 1, 1], [0.5])
    explanation.see(.gate(1), [1, 1, 1, 1], [-2])
    let with = try #require(explanation.draw())
    #expect(with.height > without.height)
  }

  @Test("a picture written as PNG is read back as it was")
  func png() throws {
    var canvas = Canvas(width: 37, height: 11)
    canvas.write("Aa 09", x: 1, y: 1, scale: 1)
    let bytes = try #require(PNGEncoder.encode(canvas.pixels, width: 37, height: 11))
    let image = try ImageDecoder.decode(bytes: bytes, name: "picture.png")
    #expect(image.width == 37 && image.height == 11)
    #expect(image.pixels == canvas.pixels)
  }
}

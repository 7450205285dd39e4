import CVLMKernels
import Foundation
import Testing
import VLMTestSupport

@testable import VLMTensor

@Suite("q8")
struct Q8Tests {
  /// scale = absmax / 127, codes round half to even: straight from formats/blocks.md.
  private func reference(_ row: ArraySlice<Float>) -> (codes: [Int8], scale: Float) {
    let scale = (row.map(abs).max() ?? 0) / 127
    return (
      row.map { value in
        let quotient = scale > 0 ? value / scale : 0
        return Int8(max(-127, min(127, quotient)).rounded(.toNearestOrEven))
      }, scale
    )
  }

  private func parts(
    _ bytes: [UInt8], inputs: Int
  ) -> (codes: (Int, Int) -> Int8, scale: [Float], sum: [Int32]) {
    let tail = vlm_q8_tail_offset(inputs)
    return bytes.withUnsafeBytes { buffer in
      (
        { output, input in Int8(bitPattern: bytes[input / 4 * 64 + output * 4 + input % 4]) },
        (0..<16).map { buffer.loadUnaligned(fromByteOffset: tail + 4 * $0, as: Float.self) },
        (0..<16).map { buffer.loadUnaligned(fromByteOffset: tail + 64 + 4 * $0, as: Int32.self) }
      )
    }
  }

  @Test("codes, scales and sums are those of the formula", arguments: [1, 31, 32, 33, 64, 95, 352])
  func matchesFormula(inputs: Int) throws {
    for rowCount in [1, 15, 16] {
      let rows = Distribution.laplace.values(rowCount * inputs, seed: UInt64(inputs))
      let (bytes, _) = try #require(
        encodePanel(rows, rowCount: rowCount, inputs: inputs, scheme: .q8))
      let (code, scale, sum) = parts(bytes, inputs: inputs)
      for output in 0..<16 {
        let expected =
          output < rowCount
          ? reference(rows[output * inputs..<(output + 1) * inputs])
          : (codes: [Int8](repeating: 0, count: inputs), scale: 0)
        #expect((0..<inputs).map { code(output, $0) } == expected.codes)
        #expect(scale[output] == expected.scale)
        #expect(sum[output] == expected.codes.reduce(Int32(0)) { $0 + Int32($1) })
      }
    }
  }

  @Test("a code halfway between two integers goes to the even one")
  func tiesToEven() throws {
    let row: [Float] = [127, 0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 126.5]
    let (bytes, error) = try #require(encodePanel(row, rowCount: 1, inputs: 8, scheme: .q8))
    let (code, _, _) = parts(bytes, inputs: 8)
    #expect((0..<8).map { code(0, $0) } == [127, 0, 2, 2, 0, -2, -2, 126])
    #expect(error.maxAbsError == 0.5)
  }

  private static func published(_ name: String) -> URL {
    URL(fileURLWithPath: TestFiles.fixture("safetensors/" + name))
  }

  @Test("another project's 79,872 per-channel codes and their scales come out the same")
  func reproducesPublishedCodes() throws {
    let source = try Safetensors(Self.published("fracast_f32.safetensors"))
    let quantized = try Safetensors(Self.published("fracast_int8.safetensors"))
    let manifest = try #require(
      JSONSerialization.jsonObject(
        with: Data(contentsOf: Self.published("fracast_w8_manifest.json")))
        as? [String: Any])
    let map = try #require(manifest["quant_map"] as? [String: [String: Any]])
    var codesSeen = 0
    for (name, entry) in map {
      let tensor = try source.tensor(name)
      // A vector has one scale: it is one output.
      let outputs = tensor.shape.count == 1 ? 1 : tensor.shape[0]
      let inputs = tensor.values.count / outputs
      let codes = try quantized.tensor(#require(entry["qweight"] as? String)).values
      let scales = try quantized.tensor(#require(entry["scale"] as? String)).values
      for first in stride(from: 0, to: outputs, by: 16) {
        let count = min(16, outputs - first)
        let rows = Array(tensor.values[first * inputs..<(first + count) * inputs])
        let (bytes, _) = try #require(
          encodePanel(rows, rowCount: count, inputs: inputs, scheme: .q8))
        let (code, scale, _) = parts(bytes, inputs: inputs)
        let ours = (0..<count * inputs).map { Float(code($0 / inputs, $0 % inputs)) }
        #expect(ours == Array(codes[first * inputs..<(first + count) * inputs]), "\(name)")
        #expect(scale[..<count] == scales[first..<first + count], "\(name)")
        codesSeen += ours.count
      }
    }
    #expect(codesSeen == 79_872)
  }
}

import Testing
import VLMFoundation
import VLMTensor

@testable import VLMModels

struct ConvNeXtDepthTests {
  /// `depths.count` stages of eight channels.
  private func config(depths: [Int]) throws -> JSONValue {
    let stages = depths.map { depth in
      #"{"depth":\#(depth),"channels":8,"hidden":32,"kernel":7,"dilation":1}"#
    }
    return try JSONValue.parse(
      #"""
      {"input_channels":3,"stem":{"type":"patch","size":4},"stem_channels":8,
      "stages":[\#(stages.joined(separator: ","))],
      "layer_scale":true,"grn":false,"convolution_bias":true,"activation":"gelu",
      "epsilon":1e-6,"head_epsilon":1e-6,
      "head":{"norm_before_pool":false,"norm_after_pool":true}}
      """#)
  }

  private func problem(depths: [Int]) throws -> ModelError? {
    let json = try config(depths: depths)
    do throws(ModelError) {
      _ = try ConvNeXtConfig(json: json)
      return nil
    } catch {
      return error
    }
  }

  @Test("a configuration of a thousand blocks is read")
  func thousand() throws {
    let error = try problem(depths: [Int](repeating: 100, count: 10))
    #expect(error == nil)
  }

  @Test("sixteen stages of a thousand blocks each are refused before a tensor is asked for")
  func blocks() throws {
    let error = try problem(depths: [Int](repeating: 1000, count: 16))
    let expected = ModelError(
      .configuration(field: "number of blocks", found: "16000", expected: "0 to 1000"))
    #expect(error == expected)
  }
}

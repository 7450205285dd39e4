import CVLMKernels
import Testing
import VLMFoundation
import VLMTestSupport

@testable import VLMTensor

/// A scheme of this test alone: an int8 for each weight, no scale. Its kernel writes what no kernel
/// of another scheme would.
private enum Plain8: PanelScheme {
  static let code: UInt8 = 250
  static let name = "plain8"
  static let summary = "int8 codes"
  static let codeBits = 8
  static let bitsPerWeight = 8.0
  static let valueType = DType.f32
  static let arithmetic = ProductArithmetic.int8
  static let usesHessian = true

  static func panelByteCount(inputs: Int) -> Int { vlm_q8_tail_offset(inputs) }

  static func encode(
    _ source: PanelSource, into panel: UnsafeMutableRawPointer,
    with encoder: UnsafePointer<vlm_encoder>
  ) -> QuantizationError {
    let bytes = UnsafeMutableRawBufferPointer(
      start: panel, count: panelByteCount(inputs: source.inputs))
    for index in bytes.indices { bytes[index] = 0 }
    // A stand-in for an encoder that takes the Hessian: it rounds where an input's diagonal is 1.
    let diagonal = source.statistics?.factor?.weights
    for row in 0..<source.rowCount {
      for input in 0..<source.inputs where diagonal.map({ $0[input] == 1 }) ?? true {
        let value = source.rows[row * source.rowStride + input]
        bytes[vlm_q8_code_offset(row, input)] = UInt8(bitPattern: Int8(value))
      }
    }
    // Behind the codes of up to 63 inputs, where a test finds whose instructions were asked for.
    bytes[bytes.count - 1] = encoder.pointee.name.map { UInt8(bitPattern: $0[3]) } ?? 0
    return QuantizationError()
  }

  static func decode(
    panel: UnsafeRawPointer, inputs: Int, rowCount: Int, into rows: UnsafeMutablePointer<Float>,
    rowStride: Int
  ) {
    for row in 0..<rowCount {
      for input in 0..<inputs {
        let code = panel.load(fromByteOffset: vlm_q8_code_offset(row, input), as: Int8.self)
        rows[row * rowStride + input] = Float(code)
      }
    }
  }

  static func fault(in panel: UnsafeRawPointer, inputs: Int, rowCount: Int) -> PanelFault? {
    let first = panel.load(as: Int8.self)
    return first == -128 ? PanelFault(rule: .code, output: 0, block: 0) : nil
  }

  static func kernel(in table: vlm_kernels) -> ProductKernel {
    .codes { call in
      guard let call = call?.pointee else { return }
      for row in 0..<call.rows {
        for panel in call.panel_begin..<call.panel_end {
          for output in panel * 16..<min(call.outputs, panel * 16 + 16) {
            call.y[row * call.y_stride + output] = 1000
          }
        }
        guard let outliers = call.outliers else { continue }
        call.y[row * call.y_stride] += outliers[row * call.outliers_per_row].value
      }
    }
  }

  static func copyRow(
    _ row: Int, of weights: UnsafeRawPointer, inputs: Int,
    into values: UnsafeMutablePointer<Float>
  ) {
    for input in 0..<inputs { values[input] = Float(row * 100 + input) }
  }
}

@Suite("a scheme that the rest of the program has never heard of")
struct NewSchemeTests {
  private let scheme = Scheme(Plain8.self)
  private var format: TensorFormat { TensorFormat(scheme: scheme, layout: .panels) }

  @Test("it is encoded, decoded, measured and checked as it says itself")
  func bytes() throws {
    let values = (0..<20 * 40).map { Float($0 % 200 - 100) }
    #expect(format.byteCount(shape: [20, 40]) == 2 * 1024)
    #expect(TensorFormat(scheme: scheme).byteCount(shape: [20, 40]) == nil)
    let bytes = try TensorEncoder.encode(values: values, shape: [20, 40], format: format).bytes
    #expect(try TensorEncoder.decode(bytes: bytes, shape: [20, 40], format: format) == values)
    func fault(_ bytes: [UInt8]) -> PanelFault? {
      bytes.withUnsafeBytes {
        PanelFault.first(in: $0.baseAddress!, scheme: scheme, inputs: 40, rowCount: 16)
      }
    }
    #expect(fault(bytes) == nil)
    #expect(fault([0x80] + bytes.dropFirst()) == PanelFault(rule: .code, output: 0, block: 0))
    #expect(!Scheme.allCases.contains(scheme))
  }

  @Test("its encoder is given the Hessian")
  func hessian() throws {
    var hessian = [Float](repeating: 0, count: 4)
    (hessian[0], hessian[3]) = (1, 2)
    let statistics = try CalibrationStatistics(inputs: 2, hessian: hessian)
    let bytes = try TensorEncoder.encode(
      values: [5, 6], shape: [1, 2], format: format, statistics: statistics
    ).bytes
    #expect(try TensorEncoder.decode(bytes: bytes, shape: [1, 2], format: format) == [5, 0])
    #expect(scheme.panels?.usesHessian == true && scheme.panels?.usesImportance == false)
  }

  @Test("its encoder is that of the kernel set, however fast the machine is")
  func kernels() throws {
    for kernels in KernelSet.all {
      let bytes = try TensorEncoder.encode(
        values: [5, 6], shape: [1, 2], format: format, kernels: kernels
      ).bytes
      let expected =
        switch kernels.name {
        case "sse41": "sse41"
        case "avx2", "avxvnni": "avx2"
        case "avx512vnni", "avx512bf16", "amx": "avx512"
        default: "baseline"
        }
      #expect(String(cString: kernels.encoder.pointee.name) == expected)
      #expect(bytes.last == Array(expected.utf8)[3], "\(kernels.name)")
    }
  }

  @Test("every product runs its kernel and no other's, and its rows are its own")
  func products() throws {
    let folder = try TemporaryFolder()
    let (outputs, inputs, rows) = (40, 40, 3)
    let bytes = [UInt8](
      repeating: 1, count: try #require(format.byteCount(shape: [outputs, inputs])))
    let weight = Tensor(
      name: "w", shape: [outputs, inputs], format: format,
      file: try MappedFile(path: try folder.write("w", bytes)), range: 0..<bytes.count)
    let kernels = KernelSet.best
    let product = MatrixProduct(weight, kernels: kernels)
    let scratch = MatrixProduct.Scratch(rows: rows, maximumInputs: inputs, kernels: kernels)
    let pool = WorkerPool(threadCount: 1)
    let rest = MatrixProduct.Rest(rows: rows, maximumInputs: inputs, threads: 1, kernels: kernels)
    let (x, output) = (Activations(count: rows * inputs), Activations(count: rows * outputs))
    let input = x.matrix(rows: rows, columns: inputs)
    func expect(_ value: Float, _ run: (MatrixView) -> Void) {
      let y = output.matrix(rows: rows, columns: outputs)
      run(y)
      #expect(y.array() == [Float](repeating: value, count: rows * outputs))
    }
    expect(1000) { product(input, into: $0, Epilogue(), scratch) }
    expect(1000) {
      product(input, into: $0, Epilogue(), shared: scratch, scratches: [scratch], pool: pool)
    }
    expect(1000) {
      MatrixProduct.runPrecisely(
        [.init(product, into: $0)], of: input, shared: scratch, rest: rest, scratches: [scratch],
        pool: pool)
    }
    let found = Activations(count: 2 * inputs)
    let table = found.matrix(rows: 2, columns: inputs)
    product.rows([7, 0], into: table)
    defer { withExtendedLifetime((x, output, found)) {} }
    let expected = [7, 0].flatMap { row in (0..<inputs).map { Float(row * 100 + $0) } }
    #expect(table.array() == expected)
  }
}

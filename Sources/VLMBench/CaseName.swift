import VLMTensor
import VLMZ

/// What one case measures, as its name says it: `gemm/q8/M4096.K192.N768/avx512vnni/t2`.
///
/// Operation, scheme, shape, kernels, threads; `docs/benchmarks.md` lists the operations.
package struct CaseName: Hashable, Sendable, CustomStringConvertible {
  package enum Work: Hashable, Sendable {
    /// `y[rows, outputs] = x[rows, inputs] Wᵀ`; written `gemv` when there is one row.
    case product(Scheme, rows: Int, inputs: Int, outputs: Int)
    case depthwise(kernel: Int, height: Int, width: Int, channels: Int)
    case layerNorm(rows: Int, columns: Int)
    case gelu(rows: Int, columns: Int)
    /// f32 rows to u8 rows, as before every product with q3 to q8.
    case quantize(rows: Int, columns: Int)
    case rmsNorm(rows: Int, columns: Int)
    /// Causal attention of `rows` rows, the last of `keys` positions.
    case attention(
      KeyValueFormat, rows: Int, keys: Int, heads: Int, keyValueHeads: Int, dimension: Int)
    /// A whole model on one square image of `side` pixels.
    case tower(model: String, Scheme, side: Int)
    /// `rows` positions of a language model, the last of `positions`: a prompt, or one token.
    case language(model: String, Scheme, rows: Int, positions: Int)
    /// One pass that decides `rows` tokens of an answer, the last at `positions`: all but the first were
    /// proposed.
    case speculation(model: String, Scheme, rows: Int, positions: Int)
    /// The next token of so many answers at once, each of so many positions.
    case answers(model: String, Scheme, count: Int, positions: Int)
  }

  package let work: Work
  /// A set of kernels by its name.
  package let isa: String
  package let threads: Int

  package init(_ work: Work, isa: String, threads: Int) {
    self.work = work
    self.isa = isa
    self.threads = threads
  }

  /// Operation and scheme, the part that tells cases of one shape apart.
  package var operation: String {
    switch work {
    case .product(let scheme, let rows, _, _): (rows == 1 ? "gemv/" : "gemm/") + scheme.name
    case .depthwise(let kernel, _, _, _): "depthwise\(kernel)/f32"
    case .layerNorm: "layer_norm/f32"
    case .gelu: "gelu/f32"
    case .rmsNorm: "rms_norm/f32"
    case .attention(let format, _, _, _, _, _): "attention/\(format.rawValue)"
    case .quantize: "quantize/u8"
    case .tower(let model, let scheme, _): "tower/\(model)/\(scheme.name)"
    case .language(let model, let scheme, _, _): "language/\(model)/\(scheme.name)"
    case .speculation(let model, let scheme, _, _): "speculation/\(model)/\(scheme.name)"
    case .answers(let model, let scheme, _, _): "answers/\(model)/\(scheme.name)"
    }
  }

  package var shape: String {
    switch work {
    case .product(_, let rows, let inputs, let outputs):
      (rows == 1 ? "" : "M\(rows).") + "K\(inputs).N\(outputs)"
    case .depthwise(_, let height, let width, let channels): "\(height)x\(width)x\(channels)"
    case .layerNorm(let rows, let columns), .gelu(let rows, let columns),
      .quantize(let rows, let columns), .rmsNorm(let rows, let columns):
      "R\(rows).C\(columns)"
    case .attention(_, let rows, let keys, let heads, let keyValueHeads, let dimension):
      "R\(rows).K\(keys).H\(heads).G\(keyValueHeads).D\(dimension)"
    case .tower(_, _, let side): "\(side)"
    case .language(_, _, let rows, let positions), .speculation(_, _, let rows, let positions):
      "R\(rows).K\(positions)"
    case .answers(_, _, let count, let positions): "A\(count).K\(positions)"
    }
  }

  package var description: String { "\(operation)/\(shape)/\(isa)/t\(threads)" }
}

extension CaseName.Work {
  /// Values of the largest operand.
  fileprivate var largestBuffer: Int {
    switch self {
    case .product(_, let rows, let inputs, let outputs):
      max(rows * inputs, inputs * outputs, rows * outputs)
    case .depthwise(_, let height, let width, let channels): height * width * channels
    case .layerNorm(let rows, let columns), .gelu(let rows, let columns),
      .quantize(let rows, let columns), .rmsNorm(let rows, let columns):
      rows * columns
    case .attention(_, let rows, let keys, let heads, _, let dimension):
      // Two products of two, so that no extents overflow.
      max(rows, keys) * min(heads * dimension, 1 << 31)
    case .tower(_, _, let side): 3 * side * side
    case .language(_, _, _, let positions), .speculation(_, _, _, let positions): positions
    case .answers(_, _, let count, let positions): count * positions
    }
  }
}

extension CaseName {
  /// Largest extent that a name may have; products of three of them do not overflow.
  private static let maximumExtent = 1 << 20
  /// Values of the largest buffer that a case may have: 8 GiB of f32.
  private static let maximumCount = 1 << 31

  /// Reads a name; kernels and threads may be left off and are then the ones given.
  ///
  /// - Throws: `BenchError` saying which part is wrong.
  package init(parsing text: String, isa: String, threads: Int) throws(BenchError) {
    func wrong(_ part: String, _ found: String, _ expected: String) -> BenchError {
      BenchError(.caseName(text, part: part, found: found, expected: expected))
    }
    let parts = text.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
    let isTower = ["tower", "language", "speculation", "answers"].contains(parts[0])
    let fixed = isTower ? 4 : 3
    guard (fixed...fixed + 2).contains(parts.count) else {
      throw wrong("parts", "\(parts.count)", "\(fixed) to \(fixed + 2)")
    }
    var scheme = Scheme.f32
    let schemeText = parts[fixed - 2]
    if isTower || parts[0] == "gemm" || parts[0] == "gemv" {
      guard let known = Scheme(name: schemeText) else {
        throw wrong("scheme", schemeText, Scheme.allCases.map(\.name).joined(separator: ", "))
      }
      scheme = known
    }
    func extents(_ format: String, _ letters: [Character?], _ separator: Character)
      throws(BenchError) -> [Int]
    {
      let fields = parts[fixed - 1].split(separator: separator, omittingEmptySubsequences: false)
      guard fields.count == letters.count else { throw wrong("shape", parts[fixed - 1], format) }
      var values: [Int] = []
      for (field, letter) in zip(fields, letters) {
        guard letter == nil || field.first == letter,
          let value = Int(letter == nil ? field : field.dropFirst()),
          (1...Self.maximumExtent).contains(value)
        else {
          throw wrong("shape", parts[fixed - 1], "\(format) of 1 to \(Self.maximumExtent)")
        }
        values.append(value)
      }
      return values
    }
    func inputs(_ value: Int) throws(BenchError) -> Int {
      guard value <= TensorFormat.maximumInputs else {
        throw wrong("inputs", "\(value)", "at most \(TensorFormat.maximumInputs)")
      }
      return value
    }
    switch parts[0] {
    case "gemm":
      let e = try extents("M<rows>.K<inputs>.N<outputs>", ["M", "K", "N"], ".")
      work = .product(scheme, rows: e[0], inputs: try inputs(e[1]), outputs: e[2])
    case "gemv":
      let e = try extents("K<inputs>.N<outputs>", ["K", "N"], ".")
      work = .product(scheme, rows: 1, inputs: try inputs(e[0]), outputs: e[1])
    case "attention":
      let e = try extents(
        "R<rows>.K<keys>.H<heads>.G<key-value heads>.D<dimension>", ["R", "K", "H", "G", "D"], ".")
      guard let format = KeyValueFormat(rawValue: schemeText) else {
        throw wrong(
          "format", schemeText, KeyValueFormat.allCases.map(\.rawValue).joined(separator: ", "))
      }
      guard e[0] <= e[1] else { throw wrong("rows", "\(e[0])", "at most the \(e[1]) keys") }
      guard e[2] % e[3] == 0 else {
        throw wrong("heads", "\(e[2])", "a multiple of the \(e[3]) key-value heads")
      }
      work = .attention(
        format, rows: e[0], keys: e[1], heads: e[2], keyValueHeads: e[3], dimension: e[4])
    case "layer_norm", "rms_norm", "gelu", "quantize":
      let e = try extents("R<rows>.C<columns>", ["R", "C"], ".")
      switch parts[0] {
      case "gelu": work = .gelu(rows: e[0], columns: e[1])
      case "layer_norm": work = .layerNorm(rows: e[0], columns: e[1])
      case "rms_norm": work = .rmsNorm(rows: e[0], columns: e[1])
      default: work = .quantize(rows: e[0], columns: try inputs(e[1]))
      }
    case "tower":
      let e = try extents("<side>", [nil], ".")
      work = .tower(model: parts[1], scheme, side: e[0])
    case "language", "speculation":
      let e = try extents("R<rows>.K<positions>", ["R", "K"], ".")
      guard e[0] <= e[1] else { throw wrong("rows", "\(e[0])", "at most the \(e[1]) positions") }
      let decides = parts[0] == "speculation"
      guard !decides || e[0] <= PassCosts.maximumRows else {
        throw wrong("rows", "\(e[0])", "at most \(PassCosts.maximumRows)")
      }
      work =
        decides
        ? .speculation(model: parts[1], scheme, rows: e[0], positions: e[1])
        : .language(model: parts[1], scheme, rows: e[0], positions: e[1])
    case "answers":
      let e = try extents("A<answers>.K<positions>", ["A", "K"], ".")
      guard e[0] <= 256 else { throw wrong("answers", "\(e[0])", "at most 256") }
      work = .answers(model: parts[1], scheme, count: e[0], positions: e[1])
    default:
      guard parts[0].hasPrefix("depthwise"),
        let kernel = Int(parts[0].dropFirst("depthwise".count)), (1...63).contains(kernel),
        kernel % 2 == 1
      else {
        throw wrong(
          "operation", parts[0],
          "gemm, gemv, attention, depthwise<odd>, layer_norm, rms_norm, gelu, quantize, tower, language, "
            + "speculation or answers"
        )
      }
      let e = try extents("<height>x<width>x<channels>", [nil, nil, nil], "x")
      work = .depthwise(kernel: kernel, height: e[0], width: e[1], channels: e[2])
    }
    guard work.largestBuffer <= Self.maximumCount else {
      throw wrong("shape", parts[fixed - 1], "buffers of at most \(Self.maximumCount) values")
    }
    self.isa = parts.count > fixed ? parts[fixed] : isa
    guard parts.count > fixed + 1 else {
      self.threads = threads
      return
    }
    guard let last = parts.last, last.first == "t", let count = Int(last.dropFirst()),
      (1...1024).contains(count)
    else { throw wrong("threads", parts[fixed + 1], "t1 to t1024") }
    self.threads = count
  }
}

import VLMCheckpoint
import VLMContainer
import VLMFoundation
import VLMTensor

/// Writes what a container holds as a safetensors file.
package struct Extraction {
  package enum Form: Sendable, Equatable {
    /// Every tensor as numbers of this type: f32, f16 or bf16.
    case values(DType)
    /// Codes and scales as they are stored; see `docs/conversion.md`.
    case codes
  }

  package let container: Container
  /// The name that each tensor gets: its name in the checkpoint where the container knows it.
  private let names: [String: String]
  package let hasOriginalNames: Bool

  /// Whether the tokenizer is too large for a safetensors header.
  package private(set) var leavesTokenizer = false
  private var metadata: [(key: String, value: String)] = [("format", "pt")]

  package init(path: String) throws {
    container = try Container.open(path: path)
    let originals = try container.originalNames()
    hasOriginalNames = originals != nil
    names = originals ?? [:]

    var bytesLeft = SafetensorsFile.maximumMetadataBytes / 4 * 3
    for kind in ExtractedModel.kinds {
      guard let bytes = try container.section(kind) else { continue }
      let text = ExtractedModel.text(bytes, of: kind)
      // What the tokenizer takes must leave room for the names.
      guard kind != .tokenizer || text.utf8.count < bytesLeft / 2 else {
        leavesTokenizer = true
        continue
      }
      bytesLeft -= text.utf8.count
      metadata.append((ExtractedModel.key(kind), text))
    }
    metadata.append(("vlmz.content_hash", hexadecimal(container.rootHash)))
  }

  /// - Parameters:
  ///   - ownNames: use the container's names even where it knows the checkpoint's.
  ///   - progress: called with values done, of all.
  /// - Returns: how many tensors the file has: codes make several of one.
  @discardableResult
  package func write(
    to path: String, overwrite: Bool, form: Form, ownNames: Bool,
    progress: @escaping (Int, Int) -> Void
  ) throws -> Int {
    let total = container.tensors.reduce(0) { $0 + $1.shape.reduce(1, *) }
    let counter = Counter { progress($0, total) }
    var entries: [SafetensorsWriter.Entry] = []
    for tensor in container.tensors {
      let name = ownNames ? tensor.name : names[tensor.name] ?? tensor.name
      if form == .codes, let parts = codes(tensor, name: name, counter) {
        entries += parts
      } else {
        let dtype: DType
        if case .values(let type) = form {
          dtype = type
        } else {
          dtype = tensor.format.scheme.valueType
        }
        entries.append(values(tensor, name: name, dtype: dtype, counter))
      }
    }
    try SafetensorsWriter.write(
      path: path, overwrite: overwrite, metadata: metadata, tensors: entries
    ) { () throws(CheckpointError) in
      do throws(FileError) { try container.file.checkUnchanged() } catch {
        throw CheckpointError(error)
      }
    }
    return entries.count
  }

  private final class Counter {
    private var done = 0
    private let report: (Int) -> Void

    init(_ report: @escaping (Int) -> Void) { self.report = report }

    func add(_ count: Int) {
      done += count
      report(done)
    }
  }

  private func values(
    _ entry: TensorEntry, name: String, dtype: DType, _ counter: Counter
  ) -> SafetensorsWriter.Entry {
    let tensor = ModelTensor(entry, of: container)
    let stream = PieceStream(ModelTensor.pieces(tensor, values: 1 << 20)) {
      (range) throws(CheckpointError) in
      let count = range.count * tensor.perOutput
      let values = try tensor.values(range)
      counter.add(count)
      if range.upperBound == tensor.outputs { tensor.release() }
      return Self.stored(values, dtype)
    }
    return SafetensorsWriter.Entry(name: name, dtype: dtype, shape: entry.shape) {
      [path = container.path] offset, buffer throws(CheckpointError) in
      try stream.fill(offset, buffer, name, of: path)
    }
  }

  private static func stored(_ values: [Float], _ dtype: DType) -> [UInt8] {
    guard let scheme = Scheme(storing: dtype)?.rowMajor else {
      preconditionFailure("a type of numbers that a scheme stores")
    }
    return [UInt8](unsafeUninitializedCapacity: values.count * scheme.elementByteCount) {
      buffer, count in
      if let start = buffer.baseAddress {
        scheme.convert(values, count: values.count, into: UnsafeMutableRawPointer(start))
      }
      count = values.count * scheme.elementByteCount
    }
  }

  /// The codes of a tensor, its scales and so on; nil where its scheme has no such parts.
  private func codes(
    _ entry: TensorEntry, name: String, _ counter: Counter
  ) -> [SafetensorsWriter.Entry]? {
    guard let scheme = entry.format.scheme.panels, !scheme.parts.isEmpty,
      let (outputs, inputs) = entry.format.matrixShape(entry.shape)
    else { return nil }
    let panelBytes = scheme.panelByteCount(inputs: inputs)
    let panels = Array(stride(from: 0, to: outputs, by: TensorFormat.panelOutputs))
      .map { $0..<min($0 + TensorFormat.panelOutputs, outputs) }
    return scheme.parts.enumerated().map { index, part in
      let stream = PieceStream(panels) { [container] (range) throws(CheckpointError) in
        let start = range.lowerBound / TensorFormat.panelOutputs * panelBytes
        let place = entry.range.lowerBound + start
        defer { withExtendedLifetime(container) {} }
        // Values are counted once, by the first part, which has one for each.
        if index == 0 { counter.add(range.count * inputs) }
        let bytes = container.file.bytes(place..<place + panelBytes)
        return part.read(bytes, inputs, range.count)
      }
      return SafetensorsWriter.Entry(
        name: name + part.suffix, dtype: part.type,
        shape: part.width.map { [outputs, $0(inputs)] } ?? [outputs]
      ) { [path = container.path] offset, buffer throws(CheckpointError) in
        try stream.fill(offset, buffer, name + part.suffix, of: path)
      }
    }
  }
}

extension Container {
  /// The name that each tensor had in the checkpoint, by its own; nil where that is not known of
  /// all. A mixture of names would be no model's.
  func originalNames() throws -> [String: String]? {
    guard let bytes = try section(.provenance) else { return nil }
    let json: JSONValue
    do throws(JSONError) {
      json = try JSONValue.parse(bytes, limits: JSONLimits(maximumBytes: bytes.count))
    } catch { throw ConversionError(path: path, .section("\(SectionKind.provenance)", "JSON")) }
    var names: [String: String] = [:]
    for member in json["names"]?.objectValue?.members ?? [] {
      names[member.key] = member.value.stringValue
    }
    let originals = tensors.compactMap { names[$0.name] }
    let isWhole = originals.count == tensors.count
    return isWhole && Set(originals.map { ExactString($0) }).count == originals.count ? names : nil
  }
}

/// Bytes that are made a piece at a time and asked for at any boundaries, in order.
final class PieceStream {
  private let pieces: [Range<Int>]
  private let make: (Range<Int>) throws(CheckpointError) -> [UInt8]
  private var next = 0
  private var current: [UInt8] = []
  /// Bytes of `current` that were handed out.
  private var used = 0

  init(
    _ pieces: [Range<Int>], _ make: @escaping (Range<Int>) throws(CheckpointError) -> [UInt8]
  ) {
    self.pieces = pieces
    self.make = make
  }

  /// - Throws: what `make` throws, and `.sizeMismatch` when the pieces end before the buffer is full.
  func fill(
    _ offset: Int, _ buffer: UnsafeMutableRawBufferPointer, _ name: String, of path: String
  ) throws(CheckpointError) {
    var done = 0
    while done < buffer.count {
      if used == current.count {
        guard next < pieces.count else {
          throw CheckpointError(
            path: path, place: name,
            problem: .sizeMismatch(found: offset + done, expected: offset + buffer.count))
        }
        current = try make(pieces[next])
        next += 1
        used = 0
      }
      let count = min(buffer.count - done, current.count - used)
      UnsafeMutableRawBufferPointer(rebasing: buffer[done..<done + count])
        .copyBytes(from: current[used..<used + count])
      done += count
      used += count
    }
  }
}

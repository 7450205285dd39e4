import VLMContainer
import VLMTensor

/// Which frames a container is cut into, and how each is filtered: a function of its table and index.
struct PackingPlan {
  struct Piece: Equatable {
    let range: Range<Int>
    let filter: ByteFilter
    let effort: FrameCodec.Effort
  }

  /// One after the other, from the first byte of the container to the last.
  let pieces: [Piece]

  /// Sections that are no tensors are compressed as well as possible up to this size.
  private static let longestText = 4 << 20

  init(_ container: Container) {
    var runs: [Piece] = []
    /// Extends the last run over `range`, or begins another.
    func add(_ end: Int, _ filter: ByteFilter, _ effort: FrameCodec.Effort) {
      let start = runs.last?.range.upperBound ?? 0
      guard start < end else { return }
      if let last = runs.last, last.filter == filter, last.effort == effort {
        runs[runs.count - 1] = Piece(
          range: last.range.lowerBound..<end, filter: filter, effort: effort)
      } else {
        runs.append(Piece(range: start..<end, filter: filter, effort: effort))
      }
    }
    for section in container.sections {
      // What lies in front of a section goes with what is before that.
      let before = runs.last
      add(section.range.lowerBound, before?.filter ?? .none, before?.effort ?? .text)
      guard section.kind == .tensorData else {
        let effort: FrameCodec.Effort = section.range.count > Self.longestText ? .fast : .text
        add(section.range.upperBound, .none, effort)
        continue
      }
      let tensors = container.tensors.sorted { $0.range.lowerBound < $1.range.lowerBound }
      for (index, tensor) in tensors.enumerated() {
        // With the zeros up to the next one.
        let isLast = index == tensors.count - 1
        let end = isLast ? section.range.upperBound : tensors[index + 1].range.lowerBound
        add(end, Self.filter(tensor), .literals)
      }
    }
    add(container.file.count, .none, .text)
    pieces = runs.flatMap { Self.frames($0) }
  }

  private static func filter(_ tensor: TensorEntry) -> ByteFilter {
    let format = tensor.format
    let scheme = format.scheme
    if format.layout == .panels, scheme.codeBits <= 8,
      let (_, inputs) = format.matrixShape(tensor.shape),
      let size = format.panelByteCount(inputs: inputs)
    {
      let blocks = (inputs - 1) / TensorFormat.blockInputs + 1
      let codes = 64 * scheme.codeBits * blocks
      // A step and an offset for 16 outputs in each block, in schemes that have them.
      let hasGroups = size - codes - ByteFilter.tailSize >= 32 * blocks
      return .panels(size: size, codes: codes, groups: hasGroups ? 32 * blocks : 0)
    }
    let width = scheme.valueType.bitCount / 8
    return width == 2 || width == 4 ? .planes(width: width, turned: true) : .none
  }

  /// A run in frames.
  private static func frames(_ run: Piece) -> [Piece] {
    var unit = 64
    if case .panels(let size, _, _) = run.filter { unit = size }
    let step = max(PackedFormat.frameSize / unit * unit, unit)
    return stride(from: run.range.lowerBound, to: run.range.upperBound, by: step).map { start in
      Piece(
        range: start..<min(start + step, run.range.upperBound), filter: run.filter,
        effort: run.effort)
    }
  }
}

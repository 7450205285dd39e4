import VLMTensor

extension Container {
  /// Reads every byte and checks every rule.
  ///
  /// - Parameters:
  ///   - strict: also look into the tensors' blocks, as `formats/blocks.md` has them.
  ///   - progress: called with bytes done and bytes in all.
  /// - Returns: every defect that was found, in the order of the file.
  /// - Throws: only when the file changed while it was read.
  package func verify(
    strict: Bool, progress: ((Int, Int) -> Void)? = nil
  ) throws(ContainerError) -> [ContainerError] {
    defer { withExtendedLifetime(file) {} }
    try checkUnchanged()
    var defects: [ContainerError] = []
    do { _ = try Contents(file) } catch { defects.append(error) }
    var done = 0
    for (index, section) in sections.enumerated() {
      if section.kind == .tensorData {
        verifyTensors(in: section, strict: strict, into: &defects) { size in
          done += size
          progress?(done, file.count)
        }
      } else {
        do { _ = try decode(section, at: index) } catch {
          if !defects.contains(error) { defects.append(error) }
        }
        done += section.range.count
        progress?(done, file.count)
      }
    }
    try checkUnchanged()
    progress?(file.count, file.count)
    return defects
  }

  private func checkUnchanged() throws(ContainerError) {
    do { try file.checkUnchanged() } catch { throw ContainerError(error) }
  }

  private func verifyTensors(
    in section: SectionEntry, strict: Bool, into defects: inout [ContainerError],
    advance: (Int) -> Void
  ) {
    var end = section.range.lowerBound
    for tensor in tensors.sorted(by: { $0.range.lowerBound < $1.range.lowerBound }) {
      if !isZero(file.bytes(end..<tensor.range.lowerBound)) {
        defects.append(
          ContainerError(
            path: path, place: .padding(at: end), problem: .broken(.r49, "is not zero")))
      }
      end = tensor.range.upperBound
      let hash = hash(of: tensor, advance: advance)
      if hash != tensor.checksum {
        defects.append(
          ContainerError(
            path: path, place: .tensor(tensor.name),
            problem: .hash(.r50, found: hash, expected: tensor.checksum)))
      } else if strict, let text = BlockCheck.problem(tensor, file.bytes(tensor.range)) {
        defects.append(
          ContainerError(path: path, place: .tensor(tensor.name), problem: .broken(.r51, text)))
      }
    }
  }

  private func hash(of tensor: TensorEntry, advance: (Int) -> Void) -> UInt64 {
    var hash = XXH64()
    var position = tensor.range.lowerBound
    while position < tensor.range.upperBound {
      let next = min(position + (16 << 20), tensor.range.upperBound)
      hash.update(file.bytes(position..<next))
      advance(next - position)
      position = next
    }
    return hash.digest
  }
}

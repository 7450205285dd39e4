import VLMCheckpoint
import VLMFoundation
import VLMTensor

/// A file of statistics, mapped: what `StatisticsWriter` writes. Everything is checked when it is
/// opened but for the Hessians, which are when they are asked for.
package struct StatisticsFile: TensorStatistics {
  /// The key of the metadata that tells a file of statistics.
  package static let key = "vlmz.statistics"
  static let version = 1

  package let path: String
  package let groups: [StatisticsGroup]
  package let provenance: JSONValue
  /// Whether sensitivities say what errors of all matrices together cost. In files of before they
  /// are those of each matrix of a language model's blocks alone.
  let countsTogether: Bool
  package internal(set) var fingerprint: String
  /// What inputs are divided by from here on, for each matrix; 1 where it has none.
  private var divisors: [String: [Float]] = [:]
  /// Whether Hessians are given to the encoders that take them.
  var usesHessians = true
  let catalog: TensorCatalog
  /// Place of a matrix's group, by its name.
  let places: [String: Int]

  /// Whether a catalog is that of a file of statistics.
  package static func isStatistics(_ catalog: TensorCatalog) -> Bool {
    catalog.metadata.contains { $0.key == key }
  }

  /// - Throws: `StatisticsError`.
  package static func open(path: String) throws -> StatisticsFile {
    let file: MappedFile
    do throws(FileError) { file = try MappedFile(path: path) } catch {
      throw StatisticsError(path: path, .file(CheckpointError(error)))
    }
    return try StatisticsFile(file, name: path)
  }

  /// The same of a file that is mapped.
  package init(_ file: MappedFile, name: String) throws {
    do throws(CheckpointError) { catalog = try SafetensorsFile.read(file) } catch {
      throw StatisticsError(path: name, .file(error))
    }
    path = name
    guard let text = catalog.metadata.first(where: { $0.key == Self.key })?.value else {
      throw StatisticsError(path: name, .notStatistics)
    }
    let head = try Self.head(text, path: name)
    (groups, provenance) = (head.groups, head.provenance)
    countsTogether = head.countsTogether
    var places: [String: Int] = [:]
    for (index, group) in groups.enumerated() {
      for tensor in group.tensors {
        guard places.updateValue(index, forKey: tensor) == nil else {
          throw StatisticsError(path: name, .metadata("groups", expected: "a matrix in one group"))
        }
      }
    }
    self.places = places
    try Self.check(groups, catalog, path: name)
    // Arrays follow from rows and metadata, but other rows give other sums.
    fingerprint = Self.fingerprint(of: file, catalog)
  }

  private static func head(
    _ text: String, path: String
  ) throws -> (groups: [StatisticsGroup], provenance: JSONValue, countsTogether: Bool) {
    func refuse(_ place: String, _ expected: String) -> StatisticsError {
      StatisticsError(path: path, .metadata(place, expected: expected))
    }
    guard let json = try? JSONValue.parse(Array(text.utf8)) else { throw refuse(key, "JSON") }
    guard let version = json["version"]?.intValue else { throw refuse("version", "a number") }
    guard version == Self.version else {
      throw StatisticsError(path: path, .version(version, expected: Self.version))
    }
    guard let list = json["groups"]?.arrayValue else { throw refuse("groups", "a list") }
    let groups = try list.map { group -> StatisticsGroup in
      let names = group["tensors"]?.arrayValue?.map(\.stringValue) ?? []
      let tensors = names.compactMap { $0 }
      guard !tensors.isEmpty, tensors.count == names.count,
        let inputs = group["inputs"]?.intValue,
        (1...TensorFormat.maximumInputs).contains(inputs),
        let hasHessian = group["hessian"]?.boolValue
      else {
        throw refuse(
          "groups", "names, 1 to \(TensorFormat.maximumInputs) inputs, whether a Hessian")
      }
      return StatisticsGroup(tensors: tensors, inputs: inputs, hasHessian: hasHessian)
    }
    return (groups, json["data"] ?? .null, json["together"]?.boolValue ?? false)
  }

  private static func check(
    _ groups: [StatisticsGroup], _ catalog: TensorCatalog, path: String
  ) throws {
    for array in StatisticsArray.all(of: groups) {
      func refuse(_ found: String, _ expected: String) -> StatisticsError {
        StatisticsError(path: path, .array(array.name, found: found, expected: expected))
      }
      let wanted = "\(array.type.rawValue) [\(array.count)]"
      guard let tensor = catalog[array.name] else {
        if array.kind == .sensitivity { continue }
        throw refuse("none", wanted)
      }
      guard tensor.dtype == array.type, tensor.shape == [array.count] else {
        throw refuse("\(tensor.dtype.rawValue) \(tensor.shape)", wanted)
      }
      guard array.kind != .hessian else { continue }
      for value in doubles(tensor) where !value.isFinite {
        throw refuse("\(value)", "finite sums")
      }
      if array.kind == .rows, doubles(tensor)[0] < 1 { throw refuse("no rows", "at least one") }
      if [.squares, .sensitivity].contains(array.kind), doubles(tensor).contains(where: { $0 < 0 })
      {
        throw refuse("a negative value", "0 or more")
      }
    }
    guard let losses = catalog[lossesName] else { return }
    guard losses.dtype == .f64, losses.shape == lossesShape else {
      throw StatisticsError(
        path: path,
        .array(
          lossesName, found: "\(losses.dtype.rawValue) \(losses.shape)",
          expected: "F64 \(lossesShape)"))
    }
  }

  static func doubles(_ tensor: CheckpointTensor) -> [Double] {
    tensor.withBytes { bytes in
      (0..<bytes.count / 8).map { place in
        Double(
          bitPattern: UInt64(
            littleEndian: bytes.loadUnaligned(fromByteOffset: place * 8, as: UInt64.self)))
      }
    }
  }

  // MARK: - What is asked

  /// The same statistics of the rescaled inputs.
  func divided(by rescaling: Rescaling) -> StatisticsFile {
    var file = self
    file.divisors = rescaling.divisors
    if !rescaling.divisors.isEmpty { file.fingerprint += "-rescaled" }
    return file
  }

  /// Rows, Σ x and Σ x² of a group.
  package func moments(
    of group: StatisticsGroup
  ) -> (rows: Double, sums: [Double], squares: [Double]) {
    let (rows, sums, squares) = storedMoments(of: group)
    guard let divisors = self.divisors[group.name] else { return (rows, sums, squares) }
    return (
      rows, zip(sums, divisors).map { $0 / Double($1) },
      zip(squares, divisors).map { $0 / Double($1 * $1) }
    )
  }

  /// The same before anything was rescaled.
  func storedMoments(
    of group: StatisticsGroup
  ) -> (rows: Double, sums: [Double], squares: [Double]) {
    func values(_ kind: StatisticsArray.Kind) -> [Double] {
      catalog[StatisticsArray(kind: kind, group: group).name].map { Self.doubles($0) } ?? []
    }
    return (values(.rows).first ?? 1, values(.sums), values(.squares))
  }

  package func statistics(
    of tensor: String, inputs: Int, for scheme: Scheme, kernels: KernelSet, pool: WorkerPool
  ) throws -> CalibrationStatistics? {
    guard scheme.wantedDetail > .none, let place = places[tensor] else { return nil }
    let group = groups[place]
    guard group.inputs == inputs else {
      throw StatisticsError(
        path: path, .inputs(tensor: tensor, found: group.inputs, expected: inputs))
    }
    let (rows, _, squares) = moments(of: group)
    let importance = squares.map { Float($0 / rows) }
    guard scheme.wantedDetail == .hessian, usesHessians else {
      return try CalibrationStatistics(inputs: inputs, importance: importance)
    }
    guard group.hasHessian else {
      throw StatisticsError(path: path, .noHessian(tensor: tensor, scheme: scheme.name))
    }
    let hessian = try hessian(of: group, rows: rows, squares: squares)
    do {
      return try CalibrationStatistics(
        inputs: inputs, importance: importance, hessian: hessian,
        kernels: kernels, pool: pool)
    } catch {
      throw StatisticsError(
        path: path,
        .array(
          StatisticsArray(kind: .hessian, group: group).name, found: error.description,
          expected: "sums of x xᵀ"))
    }
  }

  /// What is added to the diagonal at least, in shares of its mean (Frantar et al., 2022, "GPTQ").
  private static let damping = 0.05
  /// What is taken from all else at least, in shares of itself (Ledoit and Wolf, 2004): of a few thousand
  /// rows much of it is chance. Measured on held-back text, with the damping.
  private static let shrinkage = 0.1

  /// `[inputs, inputs]`: the mean of x xᵀ, shrunk towards its diagonal, and that damped.
  ///
  /// - Parameter isDamped: false for the first step alone.
  /// - Throws: `StatisticsError` where the diagonal is not Σ x², which is kept apart.
  func hessian(
    of group: StatisticsGroup, rows: Double, squares: [Double], isDamped: Bool = true
  ) throws -> [Float] {
    let inputs = group.inputs
    var values = [Float](repeating: 0, count: inputs * inputs)
    guard let tensor = catalog[StatisticsArray(kind: .hessian, group: group).name] else {
      return values
    }
    let scale = Float(1 / rows)
    let divisors = self.divisors[group.name]
    func divisor(_ input: Int) -> Float { divisors?[input] ?? 1 }
    // Of fewer rows than inputs nearly all is chance, and so is much of the diagonal.
    let chance = Double(inputs) / (Double(inputs) + rows)
    let kept = Float(1 - max(Self.shrinkage, chance))
    let damping = max(Self.damping, chance * chance)
    try tensor.withBytes { bytes in
      var place = 0
      for row in 0..<inputs {
        let own = divisor(row)
        try checkDiagonal(
          of: group, input: row, place, squares[row] * Double(own * own), bytes)
        for column in row..<inputs {
          let bits = bytes.loadUnaligned(fromByteOffset: place * 4, as: UInt32.self)
          let mean =
            Float(bitPattern: UInt32(littleEndian: bits)) * scale / (own * divisor(column))
          values[row * inputs + column] = row == column ? mean : mean * kept
          place += 1
        }
      }
    }
    Self.mirror(&values, width: inputs)
    guard isDamped else { return values }
    let trace = (0..<inputs).reduce(0.0) { $0 + Double(values[$1 * inputs + $1]) }
    let share = Float(damping * trace / Double(inputs))
    // Inputs that are always zero weigh nothing; their diagonal must not be.
    let added = share > 0 && share.isFinite ? share : 1
    for input in 0..<inputs { values[input * inputs + input] += added }
    return values
  }

  /// Copies what is above the diagonal below it, in tiles: columns of a large matrix are in no cache.
  private static func mirror(_ matrix: inout [Float], width: Int) {
    let tile = 64
    matrix.withUnsafeMutableBufferPointer { matrix in
      for top in stride(from: 0, to: width, by: tile) {
        for left in stride(from: top, to: width, by: tile) {
          for row in top..<min(top + tile, width) {
            for column in max(left, row + 1)..<max(left, row + 1, min(left + tile, width)) {
              matrix[column * width + row] = matrix[row * width + column]
            }
          }
        }
      }
    }
  }

  /// How far an element of the diagonal, a sum in f32, may be from the same sum in f64.
  private static let tolerance = 0.01

  private func checkDiagonal(
    of group: StatisticsGroup, input: Int, _ place: Int, _ square: Double,
    _ bytes: UnsafeRawBufferPointer
  ) throws {
    let bits = bytes.loadUnaligned(fromByteOffset: place * 4, as: UInt32.self)
    let found = Double(Float(bitPattern: UInt32(littleEndian: bits)))
    guard !(abs(found - square) <= Self.tolerance * square + Double(Float.leastNormalMagnitude))
    else { return }
    throw StatisticsError(
      path: path,
      .array(
        StatisticsArray(kind: .hessian, group: group).name,
        found: "\(found) on the diagonal of input \(input)", expected: "Σ x², \(square)"))
  }
}

import VLMFoundation
import VLMTensor

/// The bytes of the storages that a pickle refers to.
struct TorchStorages {
  /// The location of a storage in the file.
  enum Place {
    case mapped(Range<Int>, crc: UInt32?)
    case deflated(ZipArchive.Entry)

    var count: Int {
      switch self {
      case .mapped(let range, _): range.count
      case .deflated(let entry): entry.count
      }
    }
  }

  /// Limit for the expanded size of a checkpoint of `count` bytes: by decompression, by views that
  /// repeat elements, and by tensors that share a storage.
  static func limit(fileCount count: Int) -> Int { count.multipliedClamped(by: 16) + (16 << 20) }

  let file: MappedFile
  private let places: [String: Place]
  private let isBigEndian: Bool
  private let verifiesChecksums: Bool
  private var ready: [String: (owned: OwnedBytes?, range: Range<Int>)] = [:]
  private var verified = Set<String>()
  private var madeBytes = 0
  private(set) var warnings: [Note] = []
  private var missingChecksums = 0

  init(
    _ file: MappedFile, places: [String: Place], isBigEndian: Bool, verifiesChecksums: Bool
  ) {
    self.file = file
    self.places = places
    self.isBigEndian = isBigEndian
    self.verifiesChecksums = verifiesChecksums
  }

  private func failure(_ key: String, _ text: String) -> CheckpointError {
    failure(key, .storage(text))
  }

  private func failure(_ key: String, _ problem: PyTorchProblem) -> CheckpointError {
    CheckpointError(path: file.path, place: "storage \(key)", problem: .pyTorch(problem))
  }

  /// Checks that every storage is present, has its declared size, and is declared consistently.
  func check(_ tree: PickleTree) throws(CheckpointError) {
    var declared: [String: (type: TorchType?, count: Int)] = [:]
    for storage in tree.storages {
      if let other = declared.updateValue((storage.type, storage.count), forKey: storage.key) {
        guard other == (storage.type, storage.count) else {
          throw failure(storage.key, "is declared in two ways")
        }
        continue
      }
      guard let place = places[storage.key] else {
        throw failure(storage.key, "is missing from the file")
      }
      let (bytes, overflow) = storage.count.multipliedReportingOverflow(
        by: storage.type?.width ?? 1)
      guard !overflow, bytes == place.count else {
        throw failure(
          storage.key,
          "has \(place.count) bytes, expected \(storage.count) elements of "
            + "\(storage.type?.width ?? 1) bytes")
      }
    }
  }

  /// The catalog entry for the tensor `name`.
  mutating func tensor(
    _ pickled: PickledTensor, name: String, _ tree: PickleTree
  ) throws(CheckpointError) -> CheckpointTensor {
    guard let dtype = pickled.type.dtype else {
      throw CheckpointError(
        path: file.path, place: name,
        problem: .pyTorch(.unsupportedTensor("tensor of type \(pickled.type.name)")))
    }
    let storage = tree.storages[Int(pickled.storage)]
    let bytes = try bytes(of: storage, swapWidth: pickled.type.swapWidth)
    let width = pickled.type.width
    let first =
      bytes.range.lowerBound + (storage.viewStart * (storage.type?.width ?? 1))
      + pickled.offset * width
    let strides = pickled.isContiguous ? nil : pickled.strides
    return CheckpointTensor(
      name: name, dtype: dtype, shape: pickled.shape, source: file, owned: bytes.owned,
      range: first..<first + pickled.span * width, strides: strides)
  }

  /// A storage's bytes: in the file if they can be used unchanged, otherwise converted once.
  private mutating func bytes(
    of storage: PickledStorage, swapWidth: Int
  ) throws(CheckpointError) -> (owned: OwnedBytes?, range: Range<Int>) {
    let key = storage.key
    guard let place = places[key] else { throw failure(key, "is missing from the file") }
    let isSwapped = isBigEndian && swapWidth > 1
    let label = isSwapped ? "\(key)/\(swapWidth)" : key
    if let bytes = ready[label] { return bytes }
    var made: [UInt8]?
    switch place {
    case .mapped(let range, let crc):
      if let crc, verified.insert(key).inserted { try verify(key, range, crc) }
      if isSwapped {
        try make(key, range.count)
        made = file.withBytes(range) { Array($0) }
      }
    case .deflated(let entry):
      try make(key, entry.count)
      made = try entry.inflated(file, verifies: verifiesChecksums)
    }
    if isSwapped, let count = made?.count {
      guard count % swapWidth == 0 else {
        throw failure(key, "has \(count) bytes, no multiple of \(swapWidth)")
      }
      made?.withUnsafeMutableBufferPointer { Self.swap($0, width: swapWidth) }
    }
    let result: (OwnedBytes?, Range<Int>)
    if let made {
      result = (OwnedBytes(made), 0..<made.count)
    } else if case .mapped(let range, _) = place {
      result = (nil, range)
    } else {
      result = (nil, 0..<0)
    }
    ready[label] = result
    return result
  }

  private static func swap(_ bytes: UnsafeMutableBufferPointer<UInt8>, width: Int) {
    for start in stride(from: 0, to: bytes.count, by: width) {
      for index in 0..<width / 2 { bytes.swapAt(start + index, start + width - 1 - index) }
    }
  }

  private mutating func make(_ key: String, _ count: Int) throws(CheckpointError) {
    let (sum, overflow) = madeBytes.addingReportingOverflow(count)
    let limit = Self.limit(fileCount: file.count)
    guard !overflow, sum <= limit else {
      throw failure(key, .inflatesTooFar(bytes: overflow ? .max : sum, limit: limit))
    }
    madeBytes = sum
  }

  private mutating func verify(
    _ key: String, _ range: Range<Int>, _ crc: UInt32
  ) throws(CheckpointError) {
    guard verifiesChecksums, !range.isEmpty else { return }
    guard crc != 0 else {
      missingChecksums += 1
      warnings = ["\(missingChecksums) storages have no checksum and were not verified"]
      return
    }
    let found = file.withBytes(range) { Inflater.crc32($0) }
    if found != crc { throw failure(key, .checksum(found: found, expected: crc)) }
  }
}

extension ZipArchive.Entry {
  /// The entry's decompressed content. The caller has checked its size.
  func inflated(_ file: MappedFile, verifies: Bool) throws(CheckpointError) -> [UInt8] {
    let content = file.withBytes(range) { bytes -> [UInt8]? in
      isDeflated ? Inflater.inflate(bytes, count: count) : Array(bytes)
    }
    guard let content else {
      throw CheckpointError(
        path: file.path, place: name,
        problem: .pyTorch(.inflate("does not inflate to the \(count) bytes it claims")))
    }
    let found = content.withUnsafeBytes { Inflater.crc32($0) }
    if verifies, crc != 0, found != crc {
      throw CheckpointError(
        path: file.path, place: name,
        problem: .pyTorch(.checksum(found: found, expected: crc)))
    }
    return content
  }
}

extension PickledTensor {
  var elementCount: Int { shape.reduce(1, *) }

  /// Distance from the first to the last element in elements, inclusive.
  var span: Int {
    if shape.contains(0) { return 0 }
    return zip(shape, strides).reduce(1) { $0 + ($1.0 - 1) * $1.1 }
  }

  /// Whether the elements are in C order without gaps.
  var isContiguous: Bool {
    if shape.contains(0) { return true }
    var expected = 1
    for (extent, stride) in zip(shape, strides).reversed() where extent != 1 {
      if stride != expected { return false }
      expected *= extent
    }
    return true
  }
}

extension Int {
  fileprivate func multipliedClamped(by factor: Int) -> Int {
    let (product, overflow) = multipliedReportingOverflow(by: factor)
    return overflow ? .max >> 1 : product
  }
}

import VLMFoundation
import VLMTensor

/// Interprets one pickle into an inert tree.
///
/// The machine implements the opcodes that PyTorch's picklers write, in protocols 2 to 5, and
/// refuses all others. Classes and functions are kept as pairs of names, instances of unknown
/// classes as their state. A few PyTorch functions are recognised by name because they describe
/// tensors. Nothing is imported, called or constructed, nothing recurses, and memory is
/// proportional to the bytes read.
struct PickleMachine {
  /// Maximum bytes of one pickle. Those of the largest published checkpoints have a few megabytes.
  static let maximumBytes = 256 << 20
  /// Maximum opcodes of one pickle. A tensor takes about forty.
  static let maximumOperations = 8 << 20
  static let maximumMarks = 1 << 16
  static let maximumStringBytes = 16 << 20

  let bytes: UnsafeRawBufferPointer
  /// Offset of the next byte.
  var position: Int
  /// Offset of the current opcode.
  private(set) var start: Int
  var tree = PickleTree()
  var stack: [PickleValue] = []
  private var marks: [Int] = []
  private var memo: [Int: PickleValue] = [:]
  /// Keys of whole storages, and keys of views with their locations.
  var roots: Set<String> = []
  var views: [String: PickledStorage] = [:]
  private var frameEnd: Int?
  /// Memory limit for the values, in bytes.
  private let maximumMemory: Int
  /// Memory of container items, strings, names and extents, in bytes.
  var itemBytes = 0
  /// Values that may still be copied between containers; bounded by the pickle's size.
  var copiesLeft: Int

  /// Reads the pickle that starts at byte `start` of `bytes`.
  ///
  /// - Parameter memory: memory limit for its values, in bytes. References and short opcodes make
  ///   values much larger than the pickle.
  /// - Returns: the tree, and the offset of the byte after the pickle.
  static func read(
    _ bytes: UnsafeRawBufferPointer, from start: Int = 0, memory: Int
  ) throws(PickleFault) -> (tree: PickleTree, end: Int) {
    var machine = PickleMachine(bytes, start, memory: memory)
    try machine.run()
    return (machine.tree, machine.position)
  }

  private init(_ bytes: UnsafeRawBufferPointer, _ start: Int, memory: Int) {
    self.bytes = bytes
    maximumMemory = memory
    self.start = start
    position = start
    copiesLeft = bytes.count - start
  }

  private mutating func run() throws(PickleFault) {
    try readProtocol()
    for operation in 0..<Self.maximumOperations {
      if operation % Self.checkInterval == 0 { try checkMemory() }
      if let end = frameEnd {
        if position > end { throw fault("an opcode crosses the end of its frame") }
        if position == end { frameEnd = nil }
      }
      start = position
      let code = try byte()
      if code == UInt8(ascii: ".") { return try finish() }
      try execute(code)
    }
    throw fault(.tooManyNodes(limit: Self.maximumOperations))
  }

  private mutating func readProtocol() throws(PickleFault) {
    guard try byte() == 0x80 else { throw fault(.protocolVersion(0)) }
    let version = Int(try byte())
    guard (2...5).contains(version) else { throw fault(.protocolVersion(version)) }
  }

  private mutating func finish() throws(PickleFault) {
    guard marks.isEmpty, stack.count == 1 else {
      throw fault("\(stack.count) values are left at the end, expected one")
    }
    if let frameEnd, frameEnd != position { throw fault("the pickle ends inside a frame") }
    try checkMemory()
    tree.root = stack[0]
    tree.memory = memory
  }

  /// Opcodes between two memory checks; each takes little more memory than its own bytes.
  private static let checkInterval = 64

  /// Memory of all values, in bytes. An array about to grow exists twice for a moment, once at
  /// double the size.
  private var memory: Int {
    func bytes(_ count: Int, _ capacity: Int, _ stride: Int) -> Int {
      (count + Self.checkInterval >= capacity ? 3 : 1) * capacity * stride
    }
    func bytes<T>(_ array: [T]) -> Int {
      bytes(array.count, array.capacity, MemoryLayout<T>.stride)
    }
    // Hash tables are filled to three quarters.
    let entry = MemoryLayout<PickleValue>.stride + MemoryLayout<Int>.stride
    return itemBytes + bytes(stack) + bytes(marks) + bytes(tree.strings) + bytes(tree.longs)
      + bytes(tree.sequences) + bytes(tree.dictionaries) + bytes(tree.globals)
      + bytes(tree.objects) + bytes(tree.storages) + bytes(tree.tensors)
      + bytes(memo.count, memo.capacity, entry * 4 / 3)
      + (roots.count + views.count) * 128
  }

  /// - Parameter more: further bytes about to be allocated.
  private func checkMemory(and more: Int = 0) throws(PickleFault) {
    guard memory + more <= maximumMemory else {
      throw fault(.valuesTooLarge(limit: maximumMemory))
    }
  }

  private mutating func execute(_ code: UInt8) throws(PickleFault) {
    switch code {
    // Constants
    case 0x4e: push(.none)
    case 0x88: push(.bool(true))
    case 0x89: push(.bool(false))
    case 0x4b: push(.int(Int(try byte())))
    case 0x4d: push(.int(Int(try integer(UInt16.self))))
    case 0x4a: push(.int(Int(try integer(Int32.self))))
    case 0x8a: try pushLong(count: Int(try byte()))
    case 0x8b: try pushLong(count: Int(try integer(Int32.self)))
    case 0x49, 0x4c: try pushTextInteger()
    case 0x47:
      push(.float(Double(bitPattern: UInt64(bigEndian: try integer(UInt64.self).littleEndian))))
    case 0x58: try pushText(count: Int(try integer(UInt32.self)))
    case 0x8c: try pushText(count: Int(try byte()))
    case 0x8d: try pushText(count: try length64())
    case 0x55: try pushLatin1(count: Int(try byte()))
    case 0x54: try pushLatin1(count: Int(try integer(Int32.self)))
    case 0x43: try pushBytes(count: Int(try byte()))
    case 0x42: try pushBytes(count: Int(try integer(UInt32.self)))
    case 0x8e, 0x96: try pushBytes(count: try length64())
    // Containers
    case 0x28: try mark()
    case 0x29: pushTuple([])
    case 0x85: pushTuple(try pop(count: 1))
    case 0x86: pushTuple(try pop(count: 2))
    case 0x87: pushTuple(try pop(count: 3))
    case 0x74: pushTuple(try popToMark())
    case 0x5d: pushList([])
    case 0x6c: pushList(try popToMark())
    case 0x7d: pushDictionary()
    case 0x64:
      let items = try popToMark()
      pushDictionary()
      try setItems(items)
    case 0x8f: pushObject(type: .none)
    case 0x91:
      _ = try popToMark()
      pushObject(type: .none)
    case 0x61: try append(try pop(count: 1))
    case 0x65: try append(try popToMark())
    case 0x90: try addItems(try popToMark())
    case 0x73: try setItems(try pop(count: 2))
    case 0x75: try setItems(try popToMark())
    // Stack and memo
    case 0x30:
      if let last = marks.last, last == stack.count { marks.removeLast() } else { _ = try pop() }
    case 0x31: _ = try popToMark()
    case 0x32: push(try top())
    case 0x71: memo[Int(try byte())] = try top()
    case 0x72: memo[Int(try integer(UInt32.self))] = try top()
    case 0x94: memo[memo.count] = try top()
    case 0x68: try get(Int(try byte()))
    case 0x6a: try get(Int(try integer(UInt32.self)))
    case 0x95: try beginFrame()
    // Names and objects
    case 0x63: try pushGlobal(module: try line(), name: try line())
    case 0x93:
      let names = try pop(count: 2)
      guard let module = tree.string(names[0]), let name = tree.string(names[1]) else {
        throw fault("a global is named by \(names[0].kind) and \(names[1].kind), expected strings")
      }
      try pushGlobal(module: module, name: name)
    case 0x52:
      let operands = try pop(count: 2)
      push(try call(operands[0], operands[1]))
    case 0x81:
      let operands = try pop(count: 2)
      push(try instance(operands[0], operands[1]))
    case 0x92:
      let operands = try pop(count: 3)
      push(try instance(operands[0], operands[1]))
    case 0x62:
      let state = try pop()
      try build(state)
    case 0x51: push(try persistent(try pop()))
    default: throw fault(.opcode(code, name: Self.refusedNames[code] ?? "unknown"))
    }
  }

  private static let refusedNames: [UInt8: String] = [
    0x80: "PROTO inside a pickle", 0x46: "FLOAT", 0x53: "STRING", 0x56: "UNICODE", 0x67: "GET",
    0x70: "PUT", 0x50: "PERSID", 0x69: "INST", 0x6f: "OBJ", 0x82: "EXT1", 0x83: "EXT2",
    0x84: "EXT4", 0x97: "NEXT_BUFFER", 0x98: "READONLY_BUFFER",
  ]

  // MARK: Stack

  mutating func push(_ value: PickleValue) { stack.append(value) }

  /// Number of values above the last mark.
  private var available: Int { stack.count - (marks.last ?? 0) }

  private func top() throws(PickleFault) -> PickleValue {
    guard available > 0, let value = stack.last else { throw fault("the stack is empty") }
    return value
  }

  mutating func pop() throws(PickleFault) -> PickleValue {
    guard available > 0, let value = stack.popLast() else { throw fault("the stack is empty") }
    return value
  }

  mutating func pop(count: Int) throws(PickleFault) -> [PickleValue] {
    guard available >= count else { throw fault("the stack is empty") }
    let values = Array(stack.suffix(count))
    stack.removeLast(count)
    return values
  }

  private mutating func mark() throws(PickleFault) {
    guard marks.count < Self.maximumMarks else { throw fault(.tooDeep(limit: Self.maximumMarks)) }
    marks.append(stack.count)
  }

  private mutating func popToMark() throws(PickleFault) -> [PickleValue] {
    guard let mark = marks.popLast() else { throw fault("a mark is missing") }
    let count = stack.count - mark
    if count > Self.checkInterval {
      try checkMemory(and: count * MemoryLayout<PickleValue>.stride)
    }
    let values = Array(stack[mark...])
    stack.removeLast(values.count)
    return values
  }

  private mutating func get(_ index: Int) throws(PickleFault) {
    guard let value = memo[index] else { throw fault("the memo has no entry \(index)") }
    push(value)
  }

  private mutating func beginFrame() throws(PickleFault) {
    if frameEnd != nil { throw fault("a frame begins inside another") }
    let length = try integer(UInt64.self)
    guard length <= UInt64(bytes.count - position) else {
      throw fault(
        "a frame of \(length) bytes, but only \(bytes.count - position) follow"
          + CheckpointError.cutShort)
    }
    frameEnd = position + Int(length)
  }

  // MARK: Bytes

  func fault(_ text: String) -> PickleFault { fault(.pickle(text)) }

  func fault(_ problem: PyTorchProblem) -> PickleFault {
    PickleFault(offset: start, problem: problem)
  }

  private mutating func take(_ count: Int) throws(PickleFault) -> UnsafeRawBufferPointer {
    guard count >= 0, count <= bytes.count - position else {
      throw fault(
        "\(count) bytes are needed, but the pickle ends after \(bytes.count - position)"
          + CheckpointError.cutShort)
    }
    defer { position += count }
    return UnsafeRawBufferPointer(rebasing: bytes[position..<position + count])
  }

  private mutating func byte() throws(PickleFault) -> UInt8 { try take(1)[0] }

  private mutating func integer<T: FixedWidthInteger>(_: T.Type) throws(PickleFault) -> T {
    T(littleEndian: try take(MemoryLayout<T>.size).loadUnaligned(as: T.self))
  }

  private mutating func length64() throws(PickleFault) -> Int {
    let length = try integer(UInt64.self)
    guard let count = Int(exactly: length) else { throw fault("a length of \(length) bytes") }
    return count
  }

  /// Text up to the next line feed, which is consumed but not returned.
  private mutating func line() throws(PickleFault) -> String {
    let limit = PickleGlobals.maximumNameBytes
    let rest = bytes[position...].prefix(limit + 1)
    guard let end = rest.firstIndex(of: 0x0a) else {
      throw fault(
        rest.count > limit
          ? "a line of more than \(limit) bytes"
          : "a line that does not end within the pickle" + CheckpointError.cutShort)
    }
    defer { position = end + 1 }
    return String(decoding: bytes[position..<end], as: UTF8.self)
  }

  // MARK: Constants

  private mutating func pushText(count: Int) throws(PickleFault) {
    let text = try take(try checked(count))
    let string = String(decoding: text, as: UTF8.self)
    // Decoding repairs invalid UTF-8, which changes the bytes.
    guard string.utf8.count == text.count, string.utf8.elementsEqual(text) else {
      throw fault("a string is not UTF-8")
    }
    pushString(string)
  }

  /// A Python 2 string.
  private mutating func pushLatin1(count: Int) throws(PickleFault) {
    let text = try take(try checked(count))
    var string = ""
    for byte in text { string.unicodeScalars.append(Unicode.Scalar(byte)) }
    pushString(string)
  }

  private func checked(_ count: Int) throws(PickleFault) -> Int {
    guard count <= Self.maximumStringBytes else {
      throw fault("a string of \(count) bytes, expected at most \(Self.maximumStringBytes)")
    }
    return count
  }

  private mutating func pushBytes(count: Int) throws(PickleFault) {
    _ = try take(count)
    push(.bytes)
  }

  /// Two's complement, little-endian, of any length.
  private mutating func pushLong(count: Int) throws(PickleFault) {
    guard (0...255).contains(count) else {
      throw fault("an integer of \(count) bytes, expected at most 255")
    }
    let digits = try take(count)
    guard count > 8 else {
      var value: UInt64 = count > 0 && digits[count - 1] & 0x80 != 0 ? .max : 0
      for byte in digits.reversed() { value = value << 8 | UInt64(byte) }
      return push(.int(Int(Int64(bitPattern: value))))
    }
    itemBytes += Self.allocation(count)
    push(.long(Int32(tree.longs.count)))
    tree.longs.append(Array(digits))
  }

  /// Python 2 writes integers beyond 32 bits as text, and booleans as "00" and "01".
  private mutating func pushTextInteger() throws(PickleFault) {
    let isLong = bytes[start] == 0x4c
    var text = try line()
    if !isLong, text == "00" || text == "01" { return push(.bool(text == "01")) }
    if isLong, text.hasSuffix("L") { text.removeLast() }
    guard text.utf8.count <= 20, let value = Int(text), !text.hasPrefix("+") else {
      throw fault("a decimal integer is malformed or beyond 64 bits")
    }
    push(.int(value))
  }
}

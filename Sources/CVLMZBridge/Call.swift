import CVLMZ
import VLMZ

/// Runs what one function of the interface does. What it throws becomes a status, and a message of the
/// calling thread.
func call(_ body: () throws -> Void) -> vlmz_status {
  do {
    try body()
    return vlmz_status(VLMZ_OK)
  } catch {
    let error = VLMZError(error)
    vlmz_support_set_message(error.message)
    return error.code.rawValue
  }
}

/// A caller's mistake with an argument.
func invalid(_ argument: String, found: String, expected: String) -> VLMZError {
  VLMZError(.invalidArgument, "\(argument): found \(found), expected \(expected)")
}

/// The place for a result, which holds nothing until there is one.
///
/// - Throws: `.invalidArgument` for NULL.
func place<T>(
  _ pointer: UnsafeMutablePointer<T>?, _ argument: String, empty: T
) throws -> UnsafeMutablePointer<T> {
  guard let pointer else {
    throw invalid(argument, found: "NULL", expected: "a place for the result")
  }
  pointer.pointee = empty
  return pointer
}

/// A caller's text.
///
/// - Throws: `.invalidArgument` for NULL, or for bytes that are no UTF-8.
func text(_ pointer: UnsafePointer<CChar>?, _ argument: String) throws -> String {
  guard let pointer else { throw invalid(argument, found: "NULL", expected: "a text") }
  guard let text = String(validatingCString: pointer) else {
    throw invalid(argument, found: "bytes that are no UTF-8", expected: "UTF-8")
  }
  return text
}

/// The same where NULL means none.
func optionalText(_ pointer: UnsafePointer<CChar>?, _ argument: String) throws -> String? {
  pointer == nil ? nil : try text(pointer, argument)
}

/// A caller's list of texts.
func texts(
  _ pointer: UnsafePointer<UnsafePointer<CChar>?>?, _ count: Int, _ argument: String
) throws -> [String] {
  try elements(pointer, count, argument).map { try text($0, argument) }
}

/// Elements in a caller's memory.
///
/// - Throws: `.invalidArgument` for NULL, unless there are none, or for a count that no memory has.
func elements<T>(
  _ pointer: UnsafePointer<T>?, _ count: Int, _ argument: String
) throws -> UnsafeBufferPointer<T> {
  let limit = Int.max / max(1, MemoryLayout<T>.stride)
  guard (0...limit).contains(count) else {
    throw invalid(argument, found: "a count of \(UInt(bitPattern: count))", expected: "less")
  }
  if count > 0, pointer == nil {
    throw invalid(argument, found: "NULL", expected: "\(count) of them")
  }
  return UnsafeBufferPointer(start: pointer, count: count)
}

/// A structure that begins with its size, as a later header may have it.
///
/// - Parameters:
///   - initial: what NULL means.
///   - older: sizes that it had in earlier headers; members that it lacks are zero then.
/// - Throws: `.invalidArgument` for one that is too small, or that has members which this library does not
///   know and which are not zero.
func structure<T>(
  _ pointer: UnsafePointer<T>?, _ argument: String, initial: T, older: [Int?] = []
) throws -> T {
  guard let pointer else { return initial }
  let size = UnsafeRawPointer(pointer).loadUnaligned(as: Int.self)
  // No structure will ever be larger; a number that is was never written.
  let sizes = MemoryLayout<T>.size...(1 << 16)
  if older.contains(size) {
    // Zeros are a value of every member of the interface.
    return withUnsafeTemporaryAllocation(of: T.self, capacity: 1) { copy in
      let bytes = UnsafeMutableRawBufferPointer(copy)
      bytes.initializeMemory(as: UInt8.self, repeating: 0)
      bytes.copyMemory(from: UnsafeRawBufferPointer(start: pointer, count: size))
      return copy[0]
    }
  }
  guard sizes.contains(size) else {
    throw invalid(
      "size of \(argument)", found: "\(UInt(bitPattern: size))",
      expected:
        "\(older.compactMap(\.self).min() ?? sizes.lowerBound) to \(sizes.upperBound), as its VLMZ_…_INIT has it"
    )
  }
  let bytes = UnsafeRawBufferPointer(start: pointer, count: size)
  guard bytes[sizes.lowerBound...].allSatisfy({ $0 == 0 }) else {
    throw invalid(
      argument, found: "members of a later version", expected: "those of this library, or zeros")
  }
  return pointer.pointee
}

/// A number of the interface in which 0 means the default.
func nonzero(_ number: Int32) -> Int? { number == 0 ? nil : Int(number) }

/// A number of the interface in which a negative one means the default.
func nonnegative(_ number: Double) -> Double? { number < 0 ? nil : number }

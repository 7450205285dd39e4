/// Arithmetic operators.
enum JinjaOperation: String, Sendable {
  case add = "+"
  case subtract = "-"
  case multiply = "*"
  case divide = "/"
  case floorDivide = "//"
  case remainder = "%"
  case power = "**"
  case concatenate = "~"
}

extension JinjaInterpreter {
  func refuse(undefined value: JinjaObject) throws(JinjaError) {
    if case .undefined(let undefined) = value { throw error(.undefined(undefined.message)) }
  }

  func signed(_ value: JinjaObject, negates: Bool) throws(JinjaError) -> JinjaObject {
    try refuse(undefined: value)
    if case .float(let number) = value { return .float(negates ? -number : number) }
    guard let integer = value.integer else {
      throw error(
        .value("bad operand type for unary \(negates ? "-" : "+"): '\(value.typeName)'"))
    }
    return .int(negates ? try whole(0.subtractingReportingOverflow(integer)) : integer)
  }

  func whole(_ result: (partialValue: Int, overflow: Bool)) throws(JinjaError) -> Int {
    if result.overflow { throw error(.unsupported("an integer beyond 64 bits")) }
    return result.partialValue
  }

  func apply(
    _ operation: JinjaOperation, _ left: JinjaObject, _ right: JinjaObject
  ) throws(JinjaError) -> JinjaObject {
    if operation == .remainder, case .string(let format) = left {
      return try formatted(format, right)
    }
    try refuse(undefined: left)
    try refuse(undefined: right)
    if let a = left.integer, let b = right.integer { return try integers(operation, a, b) }
    if let a = left.number, let b = right.number { return try floats(operation, a, b) }
    switch (operation, left, right) {
    case (.add, .string(let a), .string(let b)):
      if a.isMarkup != b.isMarkup {
        return try joined(
          a.isMarkup ? a : escaped(a), b.isMarkup ? b : escaped(b), isMarkup: true)
      }
      return try joined(a, b, isMarkup: a.isMarkup)
    case (.add, .sequence(let a), .sequence(let b)):
      guard a.kind == b.kind && a.kind == .list || a.kind.isTuple && b.kind.isTuple else { break }
      try charge(a.elements.count + b.elements.count, each: 8)
      return try sequence(a.elements + b.elements, a.kind)
    case (.multiply, _, _):
      if let count = right.integer { return try repeated(left, count) }
      if let count = left.integer { return try repeated(right, count) }
    default: break
    }
    if operation == .add, case .string = left {
      throw error(.value("can only concatenate str (not \"\(right.typeName)\") to str"))
    }
    if operation == .add, case .sequence(let sequence) = left,
      sequence.kind == .list || sequence.kind.isTuple
    {
      throw error(
        .value(
          "can only concatenate \(left.typeName) (not \"\(right.typeName)\") to"
            + " \(left.typeName)"))
    }
    throw error(
      .value(
        "unsupported operand type(s) for \(operation.rawValue): '\(left.typeName)' and"
          + " '\(right.typeName)'"))
  }

  func joined(
    _ a: JinjaString, _ b: JinjaString, isMarkup: Bool
  ) throws(JinjaError) -> JinjaObject {
    try charge(a.count + b.count, each: 4)
    return .string(JinjaString(scalars: a.scalars + b.scalars, isMarkup: isMarkup))
  }

  private func repeated(_ value: JinjaObject, _ count: Int) throws(JinjaError) -> JinjaObject {
    let count = max(0, count)
    switch value {
    case .string(let text):
      try charge(try whole(text.count.multipliedReportingOverflow(by: count)), each: 4)
      var scalars: [UInt32] = []
      scalars.reserveCapacity(text.count * count)
      if !text.isEmpty { for _ in 0..<count { scalars += text.scalars } }
      return .string(JinjaString(scalars: scalars, isMarkup: text.isMarkup))
    case .sequence(let sequence) where sequence.kind == .list || sequence.kind.isTuple:
      let total = try whole(sequence.elements.count.multipliedReportingOverflow(by: count))
      try charge(total, each: Self.elementBytes)
      var elements: [JinjaObject] = []
      if !sequence.elements.isEmpty { for _ in 0..<count { elements += sequence.elements } }
      return try self.sequence(elements, sequence.kind)
    default:
      throw error(
        .value("unsupported operand type(s) for *: '\(value.typeName)' and 'int'"))
    }
  }

  private func integers(
    _ operation: JinjaOperation, _ a: Int, _ b: Int
  ) throws(JinjaError) -> JinjaObject {
    switch operation {
    case .add: return .int(try whole(a.addingReportingOverflow(b)))
    case .subtract: return .int(try whole(a.subtractingReportingOverflow(b)))
    case .multiply: return .int(try whole(a.multipliedReportingOverflow(by: b)))
    case .divide, .floorDivide, .remainder:
      guard b != 0 else { throw error(.value("division by zero")) }
      if operation == .divide { return .float(Double(a) / Double(b)) }
      let quotient = try whole(a.dividedReportingOverflow(by: b))
      let remainder = a - quotient * b
      let isBelow = remainder != 0 && (remainder < 0) != (b < 0)
      if operation == .floorDivide { return .int(isBelow ? quotient - 1 : quotient) }
      return .int(isBelow ? remainder + b : remainder)
    case .power:
      guard b >= 0 else {
        guard a != 0 else {
          throw error(.value("0.0 cannot be raised to a negative power"))
        }
        return .float(JinjaMath.power(Double(a), Double(b)))
      }
      return .int(try power(a, b))
    case .concatenate: return .null
    }
  }

  private func power(_ base: Int, _ exponent: Int) throws(JinjaError) -> Int {
    var (result, base, rest) = (1, base, exponent)
    while rest > 0 {
      if rest & 1 == 1 { result = try whole(result.multipliedReportingOverflow(by: base)) }
      rest >>= 1
      if rest > 0, base != 0, base != 1 {
        // The base squares to 1 only for -1; any other overflow of the square is needed in a later
        // step.
        base = try whole(base.multipliedReportingOverflow(by: base))
      }
    }
    return result
  }

  private func floats(
    _ operation: JinjaOperation, _ a: Double, _ b: Double
  ) throws(JinjaError) -> JinjaObject {
    switch operation {
    case .add: return .float(a + b)
    case .subtract: return .float(a - b)
    case .multiply: return .float(a * b)
    case .divide, .floorDivide, .remainder:
      guard b != 0 else { throw error(.value("float division by zero")) }
      if operation == .divide { return .float(a / b) }
      var remainder = a.truncatingRemainder(dividingBy: b)
      if remainder != 0, (remainder < 0) != (b < 0) { remainder += b }
      if operation == .remainder { return .float(remainder) }
      return .float(((a - remainder) / b).rounded())
    case .power:
      let result = JinjaMath.power(a, b)
      guard result.isFinite || !a.isFinite || !b.isFinite, !(result.isNaN && a < 0) else {
        throw error(.value("the power is out of range"))
      }
      return .float(result)
    case .concatenate: return .null
    }
  }
}

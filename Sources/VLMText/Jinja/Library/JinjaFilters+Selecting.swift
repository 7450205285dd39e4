// Filters that process elements lazily.

extension JinjaFilters {
  nonisolated(unsafe) static let selecting: [String: Filter] = [
    "map": map,
    "select": { (run, value, arguments) throws(JinjaError) in
      try select(run, value, arguments, keeps: true, byAttribute: false)
    },
    "reject": { (run, value, arguments) throws(JinjaError) in
      try select(run, value, arguments, keeps: false, byAttribute: false)
    },
    "selectattr": { (run, value, arguments) throws(JinjaError) in
      try select(run, value, arguments, keeps: true, byAttribute: true)
    },
    "rejectattr": { (run, value, arguments) throws(JinjaError) in
      try select(run, value, arguments, keeps: false, byAttribute: true)
    },
    "unique": unique, "batch": batch, "slice": slice,
  ]

  private static func depth(_ arguments: JinjaArguments) -> Int {
    var depth = 0
    for value in arguments.positional { depth = max(depth, value.depth) }
    for (_, value) in arguments.named { depth = max(depth, value.depth) }
    return depth
  }

  private static func map(
    _ run: JinjaInterpreter, _ value: JinjaObject, _ arguments: JinjaArguments
  ) throws(JinjaError) -> JinjaObject {
    guard value.isTrue else { return .iterator(JinjaIterator(depth: 1)) }
    var rest = arguments
    let body: JinjaFilteredIterator.Body
    if arguments.positional.isEmpty, let attribute = rest.take("attribute") {
      let path = try JinjaPath(attribute, run)
      var initial = rest.take("default")
      if case .some(.null) = initial { initial = nil }
      if let (name, _) = rest.named.first {
        throw run.error(.value("Unexpected keyword argument '\(name)'"))
      }
      let fallback = initial
      body = {
        (element: JinjaObject, run: JinjaInterpreter) throws(JinjaError) -> JinjaObject? in
        try path.value(of: element, run, default: fallback)
      }
    } else {
      guard case .string(let name)? = arguments.positional.first else {
        throw run.error(.value("map requires a filter argument"))
      }
      guard let filter = table[name.string] else {
        throw run.error(.unsupported("the filter '\(name.string)'"))
      }
      rest.positional.removeFirst()
      let arguments = rest
      body = {
        (element: JinjaObject, run: JinjaInterpreter) throws(JinjaError) -> JinjaObject? in
        try filter(run, element, arguments)
      }
    }
    let source = try run.iterator(over: value)
    return try run.iterator(
      JinjaFilteredIterator(source, depth: depth(arguments), body: body))
  }

  private static func select(
    _ run: JinjaInterpreter, _ value: JinjaObject, _ arguments: JinjaArguments, keeps: Bool,
    byAttribute: Bool
  ) throws(JinjaError) -> JinjaObject {
    guard value.isTrue else { return .iterator(JinjaIterator(depth: 1)) }
    var rest = arguments
    var path = try JinjaPath(nil, run)
    if byAttribute {
      guard let attribute = rest.positional.first else {
        throw run.error(.value("Missing parameter for attribute name"))
      }
      path = try JinjaPath(attribute, run)
      rest.positional.removeFirst()
    }
    var test: JinjaTests.Test?
    if let name = rest.positional.first {
      let name = try run.text(of: name).string
      guard let found = JinjaTests.table[name] else {
        throw run.error(.unsupported("the test '\(name)'"))
      }
      test = found
      rest.positional.removeFirst()
    }
    let (getter, condition, given) = (path, test, rest)
    let body: JinjaFilteredIterator.Body = {
      (element: JinjaObject, run: JinjaInterpreter) throws(JinjaError) -> JinjaObject? in
      let value = try getter.value(of: element, run)
      let holds = try condition?(run, value, given) ?? value.isTrue
      return holds == keeps ? element : nil
    }
    let source = try run.iterator(over: value)
    return try run.iterator(
      JinjaFilteredIterator(source, depth: depth(arguments), body: body))
  }

  private static func unique(
    _ run: JinjaInterpreter, _ value: JinjaObject, _ arguments: JinjaArguments
  ) throws(JinjaError) -> JinjaObject {
    let given = try arguments.bound("unique", ["case_sensitive", "attribute"], run)
    let path = try JinjaPath(given.value(1), run)
    var seen: Set<JinjaKey> = []
    var elements: [JinjaObject] = []
    for element in try run.elements(of: value) {
      let key = try sortKey(try path.value(of: element, run), given.isTrue(0), run)
      guard let hashed = try run.key(of: key) else {
        throw run.error(.value("unhashable type: '\(key.typeName)'"))
      }
      try run.charge(JinjaInterpreter.elementBytes)
      if seen.insert(hashed).inserted { elements.append(element) }
    }
    return try run.iterator(JinjaElementIterator(elements, depth: max(1, value.depth)))
  }

  private static func batch(
    _ run: JinjaInterpreter, _ value: JinjaObject, _ arguments: JinjaArguments
  ) throws(JinjaError) -> JinjaObject {
    let given = try arguments.bound("batch", ["linecount", "fill_with"], required: 1, run)
    let size = try given.integer(0, 1)
    let fill = given.value(1)
    var batches: [JinjaObject] = []
    var current: [JinjaObject] = []
    for element in try run.elements(of: value) {
      if current.count == size {
        batches.append(try run.list(current))
        current = []
      }
      current.append(element)
    }
    if !current.isEmpty {
      if let fill, current.count < size {
        try run.charge(size, each: JinjaInterpreter.elementBytes)
        current += Array(repeating: fill, count: size - current.count)
      }
      batches.append(try run.list(current))
    }
    return try iterator(batches, run)
  }

  private static func slice(
    _ run: JinjaInterpreter, _ value: JinjaObject, _ arguments: JinjaArguments
  ) throws(JinjaError) -> JinjaObject {
    let given = try arguments.bound("slice", ["slices", "fill_with"], required: 1, run)
    let count = try given.integer(0, 1)
    let fill = given.value(1)
    let elements = try run.elements(of: value)
    guard count != 0 else { throw run.error(.value("integer division or modulo by zero")) }
    guard count > 0 else { return try iterator([], run) }
    try run.charge(count, each: JinjaInterpreter.elementBytes)
    let (size, extra) = elements.count.quotientAndRemainder(dividingBy: count)
    var slices: [JinjaObject] = []
    var start = 0
    for position in 0..<count {
      let end = start + size + (position < extra ? 1 : 0)
      var slice = Array(elements[start..<end])
      if let fill, position >= extra { slice.append(fill) }
      slices.append(try run.list(slice))
      start = end
    }
    return try iterator(slices, run)
  }

  private static func iterator(
    _ elements: [JinjaObject], _ run: JinjaInterpreter
  ) throws(JinjaError) -> JinjaObject {
    var depth = 0
    for element in elements { depth = max(depth, element.depth) }
    return try run.iterator(JinjaElementIterator(elements, depth: depth + 1))
  }
}

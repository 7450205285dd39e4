// Filters that compare elements: sorting, grouping, minimum and maximum.

extension JinjaInterpreter {
  /// Sorts the second components by the first with a stable merge sort. In reverse, equal elements
  /// also keep their order, as in Python.
  func sorted(
    _ keyed: [(key: JinjaObject, position: Int)], reverse: Bool
  ) throws(JinjaError) -> [Int] {
    var (source, target) = (keyed, keyed)
    var width = 1
    while width < source.count {
      var start = 0
      while start < source.count {
        let middle = min(start + width, source.count)
        let end = min(middle + width, source.count)
        var (left, right) = (start, middle)
        for place in start..<end {
          var takesRight = left == middle
          if left < middle, right < end {
            takesRight =
              reverse
              ? try precedes(source[left].key, source[right].key)
              : try precedes(source[right].key, source[left].key)
          }
          target[place] = source[takesRight ? right : left]
          if takesRight { right += 1 } else { left += 1 }
        }
        start = end
      }
      swap(&source, &target)
      width *= 2
    }
    return source.map(\.position)
  }
}

extension JinjaFilters {
  nonisolated(unsafe) static let ordering: [String: Filter] = [
    "sort": sort, "dictsort": sortDictionary, "groupby": group,
    "min": { (run, value, arguments) throws(JinjaError) in
      try extreme(run, value, arguments, "min", isGreatest: false)
    },
    "max": { (run, value, arguments) throws(JinjaError) in
      try extreme(run, value, arguments, "max", isGreatest: true)
    },
  ]

  /// The sort key: strings are lower-cased if case is ignored.
  static func sortKey(
    _ value: JinjaObject, _ isCaseSensitive: Bool, _ run: JinjaInterpreter
  ) throws(JinjaError) -> JinjaObject {
    guard !isCaseSensitive, case .string(let text) = value else { return value }
    try run.charge(text.count, each: 4)
    return .string(text.mapped(.lower))
  }

  private static func sort(
    _ run: JinjaInterpreter, _ value: JinjaObject, _ arguments: JinjaArguments
  ) throws(JinjaError) -> JinjaObject {
    let given = try arguments.bound("sort", ["reverse", "case_sensitive", "attribute"], run)
    var paths: [JinjaPath] = []
    if case .string(let names)? = given.value(2) {
      try run.charge(names.count, each: 16)
      for name in names.string.split(separator: ",", omittingEmptySubsequences: false) {
        paths.append(try JinjaPath(.text(String(name)), run))
      }
    } else {
      paths = [try JinjaPath(given.value(2), run)]
    }
    let elements = try run.elements(of: value)
    var keyed: [(key: JinjaObject, position: Int)] = []
    for (position, element) in elements.enumerated() {
      var keys: [JinjaObject] = []
      for path in paths {
        keys.append(try sortKey(try path.value(of: element, run), given.isTrue(1), run))
      }
      keyed.append((try run.list(keys), position))
    }
    let order = try run.sorted(keyed, reverse: given.isTrue(0))
    return try run.list(order.map { elements[$0] })
  }

  private static func sortDictionary(
    _ run: JinjaInterpreter, _ value: JinjaObject, _ arguments: JinjaArguments
  ) throws(JinjaError) -> JinjaObject {
    let given = try arguments.bound("dictsort", ["case_sensitive", "by", "reverse"], run)
    let by = try given.text(1)?.string ?? "key"
    guard by == "key" || by == "value" else {
      throw run.error(.value("You can only sort by either \"key\" or \"value\""))
    }
    try run.refuse(undefined: value)
    guard case .dictionary(let dictionary) = value else {
      throw run.error(.value("'\(value.typeName)' object has no attribute 'items'"))
    }
    let pairs = try JinjaMethods.items(of: dictionary, run)
    var keyed: [(key: JinjaObject, position: Int)] = []
    for position in 0..<dictionary.count {
      let key = by == "key" ? dictionary.keys[position] : dictionary.values[position]
      keyed.append((try sortKey(key, given.isTrue(0), run), position))
    }
    let order = try run.sorted(keyed, reverse: given.isTrue(2))
    return try run.list(order.map { pairs[$0] })
  }

  private static func group(
    _ run: JinjaInterpreter, _ value: JinjaObject, _ arguments: JinjaArguments
  ) throws(JinjaError) -> JinjaObject {
    let given = try arguments.bound(
      "groupby", ["attribute", "default", "case_sensitive"], required: 1, run)
    let path = try JinjaPath(given[0], run)
    let elements = try run.elements(of: value)
    var keyed: [(key: JinjaObject, position: Int)] = []
    for (position, element) in elements.enumerated() {
      let key = try path.value(of: element, run, default: given.value(1))
      keyed.append((try sortKey(key, given.isTrue(2), run), position))
    }
    let order = try run.sorted(keyed, reverse: false)
    var groups: [JinjaObject] = []
    var start = 0
    while start < order.count {
      var end = start + 1
      while end < order.count,
        try run.equal(keyed[order[start]].key, keyed[order[end]].key)
      {
        end += 1
      }
      let members = order[start..<end].map { elements[$0] }
      // The group takes its name from its first element, unchanged.
      let name = try path.value(of: members[0], run, default: given.value(1))
      groups.append(try run.sequence([name, try run.list(members)], .group))
      start = end
    }
    return try run.list(groups)
  }

  private static func extreme(
    _ run: JinjaInterpreter, _ value: JinjaObject, _ arguments: JinjaArguments, _ name: String,
    isGreatest: Bool
  ) throws(JinjaError) -> JinjaObject {
    let given = try arguments.bound(name, ["case_sensitive", "attribute"], run)
    let path = try JinjaPath(given.value(1), run)
    var best: (element: JinjaObject, key: JinjaObject)?
    for element in try run.elements(of: value) {
      let key = try sortKey(try path.value(of: element, run), given.isTrue(0), run)
      guard let current = best else {
        best = (element, key)
        continue
      }
      let isBetter =
        isGreatest
        ? try run.precedes(current.key, key, ">", isSwapped: true)
        : try run.precedes(key, current.key)
      if isBetter { best = (element, key) }
    }
    return best?.element ?? run.undefined("No aggregated item, sequence was empty.")
  }
}

/// Which pages belong to answers, which are kept for later prompts, and which hold nothing.
///
/// A page is held by any number of answers. One that nobody holds is kept as long as it has a key and
/// nothing else needs it; the one that was let go first goes first.
struct PageLedger {
  private struct Page {
    var holders = 0
    var key: PageKey?
    /// When it was last let go: pages that nobody holds go in this order.
    var released = 0
  }

  private var pages: [Page]
  private var places: [PageKey: Int] = [:]
  private var empty: [Int]
  /// Pages that nobody holds and that have a key.
  private(set) var keptCount = 0
  /// Pages that answers were promised and have not taken.
  private(set) var promisedCount = 0
  private var clock = 0

  init(count: Int) {
    pages = [Page](repeating: Page(), count: count)
    empty = Array((0..<count).reversed())
  }

  var count: Int { pages.count }
  /// Pages that answers hold.
  var heldCount: Int { count - empty.count - keptCount }

  /// Promises pages, so that an answer that has begun can go on to its end; false when too many are
  /// held or promised.
  mutating func promise(_ count: Int) -> Bool {
    guard count <= empty.count + keptCount - promisedCount else { return false }
    promisedCount += count
    return true
  }

  /// Gives back what was promised and not taken.
  mutating func takeBack(_ count: Int) {
    precondition(count <= promisedCount, "no more than was promised")
    promisedCount -= count
  }

  /// A promised page with nothing in it.
  mutating func take() -> Int {
    precondition(promisedCount > 0, "a page that was promised")
    promisedCount -= 1
    if empty.isEmpty { dropOldest() }
    guard let page = empty.popLast() else { preconditionFailure("as many pages as were promised") }
    pages[page].holders = 1
    return page
  }

  /// The page of that key, in place of a promised one; nil when nobody has computed it, or it is gone.
  mutating func share(_ key: PageKey) -> Int? {
    guard let page = places[key] else { return nil }
    precondition(promisedCount > 0, "a page that was promised")
    promisedCount -= 1
    if pages[page].holders == 0 { keptCount -= 1 }
    pages[page].holders += 1
    return page
  }

  /// Says what a page holds, now that it is full. Of two pages with the same key the first stays.
  mutating func name(_ page: Int, _ key: PageKey) {
    guard places[key] == nil, pages[page].key == nil else { return }
    pages[page].key = key
    places[key] = page
  }

  /// Lets an answer's pages go, in their order: the last ones are dropped first, because they are of no
  /// use without those before them.
  mutating func release(_ held: [Int]) {
    for page in held.reversed() {
      pages[page].holders -= 1
      guard pages[page].holders == 0 else { continue }
      if pages[page].key == nil {
        empty.append(page)
      } else {
        clock += 1
        pages[page].released = clock
        keptCount += 1
      }
    }
  }

  private mutating func dropOldest() {
    var oldest: Int?
    for (page, state) in pages.enumerated() where state.holders == 0 && state.key != nil {
      if oldest.map({ state.released < pages[$0].released }) ?? true { oldest = page }
    }
    guard let oldest, let key = pages[oldest].key else { return }
    places[key] = nil
    pages[oldest].key = nil
    keptCount -= 1
    empty.append(oldest)
  }
}

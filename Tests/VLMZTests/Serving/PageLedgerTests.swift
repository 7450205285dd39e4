import Testing

@testable import VLMZ

/// Pages are promised, taken, shared, kept and dropped.
@Suite("Ledger of pages")
struct PageLedgerTests {
  private func key(_ number: Int) -> PageKey {
    PageKey(after: PageKey(scope: ""), [.token(number)])
  }

  @Test("no more pages are promised than there are")
  func promises() {
    var ledger = PageLedger(count: 3)
    let first = ledger.promise(2)
    let tooMany = ledger.promise(2)
    #expect(first && !tooMany)
    let page = ledger.take()
    #expect(ledger.heldCount == 1 && ledger.promisedCount == 1)
    let last = ledger.promise(1)
    #expect(last)
    ledger.takeBack(2)
    ledger.release([page])
    #expect(ledger.heldCount == 0 && ledger.promisedCount == 0)
  }

  @Test("a page with a key is kept, found and shared, until room is needed")
  func keeping() {
    var ledger = PageLedger(count: 2)
    let promised = ledger.promise(2)
    #expect(promised)
    let pages = [ledger.take(), ledger.take()]
    ledger.name(pages[0], key(0))
    ledger.name(pages[1], key(1))
    ledger.release(pages)
    #expect(ledger.keptCount == 2)
    let again = ledger.promise(2)
    #expect(again)
    #expect(ledger.share(key(0)) == pages[0])
    #expect(ledger.share(key(7)) == nil)
    // The other one goes, though it is the one that was let go last of all that nobody holds.
    #expect(ledger.take() == pages[1])
    #expect(ledger.keptCount == 0)
    ledger.release(pages)
    let more = ledger.promise(1)
    #expect(more)
    #expect(ledger.share(key(1)) == nil)
  }

  @Test(
    "the end of a prefix is dropped before its beginning, and what was used first before the rest")
  func order() {
    var ledger = PageLedger(count: 4)
    func compute(_ numbers: [Int]) {
      let promised = ledger.promise(numbers.count)
      #expect(promised)
      let pages = numbers.map { number in
        let page = ledger.take()
        ledger.name(page, key(number))
        return page
      }
      ledger.release(pages)
    }
    compute([0, 1])
    compute([2, 3])
    compute([4])
    let promised = ledger.promise(4)
    #expect(promised)
    let found = (0..<5).filter { ledger.share(key($0)) != nil }
    #expect(found == [0, 2, 3, 4])
  }

  @Test("keys tell positions, pictures, what stands before and who may share apart")
  func keys() {
    let root = PageKey(scope: "")
    let picture = PictureDigest("pixels", shape: [1]) { $0.update(.init(start: nil, count: 0)) }
    let other = PictureDigest("pixels", shape: [2]) { $0.update(.init(start: nil, count: 0)) }
    let keys = [
      root, PageKey(scope: "a"), PageKey(after: root, [.token(1)]),
      PageKey(after: root, [.token(2)]), PageKey(after: PageKey(scope: "a"), [.token(1)]),
      PageKey(after: PageKey(after: root, [.token(1)]), [.token(1)]),
      PageKey(after: root, [.token(1), .token(1)]),
      PageKey(after: root, [.picture(picture, row: 1)]),
      PageKey(after: root, [.picture(other, row: 1)]),
      PageKey(after: root, [.picture(picture, row: 2)]),
    ]
    #expect(Set(keys).count == keys.count)
    #expect(PageKey(after: root, [.token(1)]) == PageKey(after: root, [.token(1)]))
  }
}

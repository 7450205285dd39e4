import Testing
import VLMFoundation

struct Base64Tests {
  static let vectors = [
    ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="),
    ("fooba", "Zm9vYmE="), ("foobar", "Zm9vYmFy"),
  ]

  @Test("base64 is that of RFC 4648", arguments: vectors)
  func known(text: String, encoded: String) {
    #expect(Base64.encode(Array(text.utf8)) == encoded)
    #expect(Base64.decode(encoded) == Array(text.utf8))
  }

  @Test("every byte comes back from base64")
  func allBytes() {
    let bytes: [UInt8] = (0...255).flatMap { [UInt8($0), UInt8(255 - $0), 0] }
    #expect(Base64.decode(Base64.encode(bytes)) == bytes)
    #expect(Base64.encode([0xfb, 0xff, 0xfe]) == "+//+")
  }

  @Test(
    "text that is no base64 of ours is refused",
    arguments: [
      "Z", "Zg", "Zg=", "Z===", "====", "Zh==", "Zm9=", "Zm 9v", "Zm9v\n", "Zg==Zg==", "Zé==",
    ])
  func refused(text: String) {
    #expect(Base64.decode(text) == nil)
  }
}

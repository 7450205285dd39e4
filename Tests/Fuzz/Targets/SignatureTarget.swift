import VLMFoundation
import VLMSignature

enum SignatureTarget {
  /// The bytes as a signature's file, as a key's text and as a secret key's file.
  static func run(_ bytes: UnsafeRawBufferPointer) {
    let content = Array(bytes)
    do throws(SignatureError) {
      let signature = try Signature(path: "fuzzed", bytes: content)
      let again = try Signature(path: "fuzzed", bytes: signature.fileContent)
      precondition(again == signature, "a signature survives being written")
      precondition(signature.statedRoots.count <= content.count / 5, "a field takes its name")
    } catch { report(error) }
    do throws(SignatureError) {
      let key = try PublicKey(path: "fuzzed", bytes: content)
      precondition(PublicKey(base64: key.base64) == key, "a key survives being written")
    } catch { report(error) }
    do {
      // Nobody knows the password, so none is computed.
      _ = try SecretKey.read(path: "fuzzed", bytes: content) { nil }
    } catch let error as SignatureError { report(error) } catch {
      preconditionFailure("the error is of another kind")
    }
  }
}

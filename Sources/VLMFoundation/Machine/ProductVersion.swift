/// The version of the product: of the commands, of the libraries, and of what they write.
package let productVersion = "0.2.0"

'use strict';
// A list of dispatches on its way to the native side, which reads the beginning of a long one while the rest is written.

const { joinLists } = require('./json.js');
const { DISPATCH_FORM, endOfList } = require('./protocol.js');

/** Entries from which on that is worth a thread. */
const MIN_ENTRIES = 512;

let lastNumber = 0;

class ListParts {
  #native;
  #namespace;
  /** Of the list, once a part has crossed. */
  #number = 0;
  #isLong;

  constructor(native, namespace, entries) {
    this.#native = native;
    this.#namespace = namespace;
    this.#isLong = entries >= MIN_ENTRIES;
  }

  /** Takes the JSON of a list of entries that more will follow; the first has the index `offset`. */
  written(text, offset) {
    if (!this.#isLong) return;
    this.#number ||= ++lastNumber;
    this.#native.part(this.#number, offset, this.#namespace, text);
  }

  /** The form and the JSON of the dispatch that ends the list, from the texts of all its entries. */
  end(texts) {
    if (this.#number === 0) return [DISPATCH_FORM.MANY, joinLists(texts)];
    return [DISPATCH_FORM.PARTS, endOfList(this.#number, texts.at(-1))];
  }

  /** The list is not dispatched. */
  forget() {
    if (this.#number !== 0) this.#native.forget(this.#number);
  }
}

module.exports = { ListParts };

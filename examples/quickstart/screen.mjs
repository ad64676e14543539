// Draws lines over the ones drawn before, with plain ANSI sequences. Survives a change of the terminal's size.

/** A drawing area at the cursor of `stream`, which is a terminal. */
export function createScreen(stream) {
  let lengths = [];
  const show = () => stream.write('\x1b[?25h');
  stream.write('\x1b[?25l');
  process.once('exit', show);

  /** Lines that the last drawing takes up now: a narrower terminal has wrapped some of them. */
  const height = () =>
    lengths.reduce((sum, length) => sum + Math.max(1, Math.ceil(length / (stream.columns || 80))), 0);

  const put = (rows, { header, line }, most) => {
    // One column stays free, so that no line wraps by itself.
    const width = (stream.columns || 80) - 1;
    const lines = [header(width), ...rows.map((row) => line(row, width))].slice(0, most);
    const up = height();
    // Each line replaces the one below it; what is left of the last drawing goes at the end.
    stream.write(`${up > 0 ? `\x1b[${up}A` : ''}\r${lines.map((text) => `${text}\x1b[K\n`).join('')}\x1b[0J`);
    lengths = lines.map(() => width);
  };

  let last;
  const again = () => last && put(...last, (stream.rows || 24) - 1);
  stream.on('resize', again);

  return {
    draw(rows, looks) {
      last = [rows, looks];
      again();
    },
    /** Draws everything once more, however long it is, and leaves it. */
    end() {
      stream.off('resize', again);
      if (last) put(...last);
      process.off('exit', show);
      show();
    },
  };
}

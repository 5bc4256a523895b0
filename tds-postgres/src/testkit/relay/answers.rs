//! Counts transactions in the bytes that a PostgreSQL server sends.

/// The answers of one connection (PostgreSQL manual, "Frontend/Backend Protocol"). A connection that is encrypted counts
/// nothing.
#[derive(Debug, Default)]
pub(super) struct Answers {
    /// False until the first byte has arrived.
    begun: bool,
    /// The beginning of a message: its kind, and its length in four bytes.
    header: Vec<u8>,
    kind: u8,
    /// The bytes of the message that have not arrived yet.
    rest: usize,
    /// True if a statement was executed since the last transaction ended.
    executed: bool,
}

const COMMAND_COMPLETE: u8 = b'C';
const READY_FOR_QUERY: u8 = b'Z';
/// The status in `READY_FOR_QUERY` of a session without an open transaction.
const IDLE: u8 = b'I';
/// The answer to a request for encryption that the server refuses. It is a single byte before all messages.
const NOT_ENCRYPTED: u8 = b'N';

impl Answers {
    /// Reads the next bytes. Returns the number of transactions that ended in them. A check of the connection, which
    /// executes no statement, is none.
    pub(super) fn read(&mut self, mut bytes: &[u8]) -> u64 {
        let mut ended = 0;
        if !self.begun && !bytes.is_empty() {
            self.begun = true;
            bytes = bytes.strip_prefix(&[NOT_ENCRYPTED]).unwrap_or(bytes);
        }
        while let Some((first, others)) = bytes.split_first() {
            if self.rest == 0 {
                self.header.push(*first);
                self.begin_message();
                bytes = others;
                continue;
            }
            if self.kind == READY_FOR_QUERY && *first == IDLE && std::mem::take(&mut self.executed) {
                ended += 1;
            }
            let (read, next) = bytes.split_at(self.rest.min(bytes.len()));
            self.rest -= read.len();
            bytes = next;
        }
        ended
    }

    fn begin_message(&mut self) {
        let [kind, length @ ..] = &*self.header else { return };
        let Ok(length) = <[u8; 4]>::try_from(length) else { return };
        self.kind = *kind;
        self.rest = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX).saturating_sub(4);
        self.executed |= *kind == COMMAND_COMPLETE;
        self.header.clear();
    }
}

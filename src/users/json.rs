//! A set of users as JSON, written while it is sent: a set of a million would otherwise be in memory
//! twice.

use std::io::{self, Read};

use super::Users;

/// How much is written at once, at least, in bytes.
const PIECE: usize = 16 * 1024;

/// Reads as the list of the users, as JSON.
pub struct Json<'a> {
    users: &'a Users,
    next: usize,
    ended: bool,
    piece: Vec<u8>,
    /// How much of the piece has been read.
    read: usize,
}

impl Users {
    /// The list of the users as JSON, piece by piece.
    pub fn json(&self) -> Json<'_> {
        Json {
            users: self,
            next: 0,
            ended: false,
            piece: Vec::new(),
            read: 0,
        }
    }
}

impl Json<'_> {
    fn write_piece(&mut self) -> io::Result<()> {
        self.piece.clear();
        self.read = 0;
        while !self.ended && self.piece.len() < PIECE {
            self.ended = self.next == self.users.len();
            match (self.ended, self.next) {
                (true, 0) => self.piece.extend_from_slice(b"[]"),
                (true, _) => self.piece.push(b']'),
                (false, 0) => self.piece.push(b'['),
                (false, _) => self.piece.push(b','),
            }
            if !self.ended {
                serde_json::to_writer(&mut self.piece, self.users.get(self.next))?;
                self.next += 1;
            }
        }
        Ok(())
    }
}

impl Read for Json<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.read == self.piece.len() {
            self.write_piece()?;
        }
        let read = (&self.piece[self.read..]).read(buffer)?;
        self.read += read;
        Ok(read)
    }
}

mod document;
mod framing;
mod generate;
mod golden;
mod reducer;
mod round_trip;
mod samples;

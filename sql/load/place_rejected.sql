-- one rejected line, by the segment it is in and its place there

update new_rejected
set
    file = segment_lines.segment,
    line = new_rejected.line - segment_lines.first_line + 1
from segment_lines
where new_rejected.line >= segment_lines.first_line and new_rejected.line < segment_lines.end_line;
